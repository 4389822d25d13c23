"""A task's own word on how far it is, while it runs (RES-3)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from math import isfinite
from numbers import Integral, Real
from typing import Any

from django.db import DatabaseError, connections, transaction
from django.db.models import QuerySet

from djtasks.conf import settings
from djtasks.domain import payloads, states
from djtasks.domain.messages import Token
from djtasks.exceptions import LeaseLost
from djtasks.models import Message
from djtasks.tasks.context import Request

STATE_LENGTH = 64
MESSAGE_BYTES = 1000


def report(request: Request, done: float, total: float | None, message: str) -> None:
    """Hand on how far a run is; it is written soon, and often only the last of many (RES-3)."""
    words = payloads.printable(str(message), MESSAGE_BYTES)
    note = {"done": _number(done, "done"), "total": None if total is None else _number(total, "total")}
    if request.note is not None:
        token = Token(str(request.id), request.deliveries)
        request.note(token, payloads.encode({**note, "message": words}, where="progress"))


def _number(value: float, name: str) -> float:
    try:
        number = int(value) if isinstance(value, Integral) else float(value)
        if isinstance(value, (Real, Decimal)) and isfinite(number):
            return number
    except (TypeError, ValueError, OverflowError):
        pass
    raise TypeError(f"{name} is a finite number, not {value!r:.80}")


def update_state(request: Request, task_id: str | None, state: str | None, meta: Any) -> None:
    """Write state and meta to the living message; raise LeaseLost where it is no longer this run's own."""
    changes: dict[str, Any] = {}
    if state is not None:
        changes["state"] = _check_state(state)
    if meta is not None:
        payloads.encode(meta, where="meta", max_bytes=settings.MAX_PAYLOAD_BYTES)
        changes["meta"] = meta
    mine = task_id is None or task_id == request.id
    if not changes or (mine and (request.is_eager or request.id is None)):
        return
    messages = Message.objects.using(settings.DATABASE)
    if task_id is not None and not mine:
        messages.filter(pk=task_id).update(**changes)
        return
    held = messages.filter(pk=str(request.id), deliveries=request.deliveries, leased_until__isnull=False)
    if not (_update_outside(held, changes) or held.update(**changes)):
        raise LeaseLost(f"{request.task}[{request.id}] is no longer held by delivery {request.deliveries}")


def _update_outside(held: QuerySet[Message], changes: dict[str, Any]) -> bool:
    """Write outside of the transaction that the body has open: at once to be seen, and with no lock that lasts.

    A row that the body's transaction kept locked could not be renewed. Where one connection alone can write, or the
    row is locked already or not to be seen from outside, this does nothing.
    """
    connection = connections[settings.DATABASE]
    if not connection.in_atomic_block or not connection.features.has_select_for_update_nowait:
        return False

    def update() -> bool:
        try:
            with transaction.atomic(using=settings.DATABASE):
                return bool(held.select_for_update(nowait=True).values_list("pk")[:1] and held.update(**changes))
        except DatabaseError:
            return False
        finally:
            connections[settings.DATABASE].close()

    with ThreadPoolExecutor(1, "djtasks-progress") as thread:
        return thread.submit(update).result()


def _check_state(state: str) -> str:
    if not isinstance(state, str) or not 0 < len(state) <= STATE_LENGTH or not state.isprintable():
        raise ValueError(f"a state is a word of up to {STATE_LENGTH} printable characters, not {state!r:.100}")
    if state in states.READY_STATES:
        raise ValueError(f"{state} is how a task ends, and is recorded when it does: return a value or raise an error")
    return state
