"""From a command to its answer; whatever a row of the remote control says, the worker lives on."""

from __future__ import annotations

import logging
from collections.abc import Callable
from difflib import get_close_matches
from inspect import signature
from typing import TYPE_CHECKING, Any

from djtasks.conf import settings
from djtasks.domain import payloads
from djtasks.worker.facts import FACTS
from djtasks.worker.orders import ORDERS

if TYPE_CHECKING:
    from djtasks.worker.supervisor import Supervisor

logger = logging.getLogger("djtasks.worker.control")
VERBS: dict[str, Callable[..., Any]] = {**FACTS, **ORDERS}


def perform(worker: Supervisor, verb: str, arguments: Any) -> tuple[Any, bool]:
    """Return the answer to a command, and whether it failed (WORK-10)."""
    try:
        answer = _call(worker, verb, arguments)
        payloads.encode(answer, where="the answer", max_bytes=settings.MAX_PAYLOAD_BYTES)
    except (LookupError, TypeError, ValueError) as error:
        text = str(error.args[0]) if error.args else str(error)
        logger.warning("command %s refused: %s", payloads.printable(ascii(verb), 100), payloads.printable(text, 500))
        return payloads.printable(text, 1000), True
    except Exception as error:
        logger.exception("command %s failed", payloads.printable(ascii(verb), 100))
        return payloads.printable(f"{type(error).__name__}: {error}", 1000), True
    return answer, False


def _call(worker: Supervisor, verb: str, arguments: Any) -> Any:
    if verb not in VERBS:
        near = get_close_matches(str(verb), VERBS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(VERBS))}"
        raise LookupError(f"there is no command {verb!r:.80}; {hint}")
    if not isinstance(arguments, dict):
        raise TypeError(f"{verb} takes a dict of arguments, not {arguments!r:.80}")
    try:
        call = signature(VERBS[verb]).bind(worker, **arguments)
    except TypeError as error:
        raise TypeError(f"{verb} cannot be called like this: {error}") from None
    if verb in ORDERS:
        logger.info("command %s %s", verb, payloads.printable(repr(arguments), 200))
    return VERBS[verb](*call.args, **call.kwargs)
