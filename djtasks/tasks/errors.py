"""Exceptions as records, and records as exceptions: rebuilt only from classes that are already loaded."""

from __future__ import annotations

import json
import sys
import traceback
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from djtasks.domain import payloads
from djtasks.exceptions import DjtasksError, TaskRevokedError

if TYPE_CHECKING:
    from djtasks.tasks.context import Request

TRACEBACK_BYTES = 64 * 1024
MESSAGE_BYTES = 8 * 1024
NAME_BYTES = 1024


def describe(error: BaseException, kind: str, request: Request, text: str | None = None) -> str:
    """Write one attempt's error as a JSON line; no exception is so broken that this fails."""
    return json.dumps(
        {
            "kind": kind,
            "type": payloads.printable(f"{type(error).__module__}.{type(error).__qualname__}", NAME_BYTES),
            "message": message_of(error),
            "args": _args_of(error),
            "traceback": text,
            "worker": request.worker_id,
            "hostname": request.hostname,
            "delivery": request.deliveries,
            "retries": request.retries,
            "started_at": request.started_at and request.started_at.isoformat(),
            "failed_at": datetime.now(tz=UTC).isoformat(),
        }
    )


def describe_revocation(reason: str, request: Request) -> str:
    """Write the record of a task that was revoked; the reason is "revoked", "expired" or "terminated by" a signal."""
    record: dict[str, Any] = json.loads(describe(TaskRevokedError(reason), "revoked", request))
    return json.dumps({**record, "reason": reason})


def format_traceback(error: BaseException) -> str:
    """Format a traceback without local variables, bounded in size."""
    try:
        text = "".join(traceback.format_exception(error))
    except BaseException:
        text = "".join(traceback.format_tb(error.__traceback__)) + f"{type(error).__qualname__}: {message_of(error)}\n"
    return payloads.printable(text, TRACEBACK_BYTES)


def message_of(error: BaseException | None) -> str:
    """Say what an exception says, even one whose ``str`` is broken."""
    try:
        return payloads.printable(str(error), MESSAGE_BYTES)
    except BaseException as broken:
        return f"<its message cannot be read: {type(broken).__qualname__}>"


def _args_of(error: BaseException) -> list[Any] | None:
    """The arguments of the exception where they can be stored, so that it can be made anew."""
    try:
        args: list[Any] = json.loads(payloads.encode(list(error.args), where="exception", max_bytes=MESSAGE_BYTES))
    except Exception:
        return None
    return args


def rebuild(record: dict[str, Any]) -> BaseException:
    """Make the exception of a record: its own class if that is loaded and takes the arguments, else one named like it.

    Nothing is imported because a row names it, and nothing but an exception class is ever called.
    """
    path, message, args = str(record.get("type", "")), str(record.get("message", "")), record.get("args")
    found = _loaded(path)
    module, _, name = path.rpartition(".")
    stand_in: type[Exception] = type(name or "UnknownError", (RemoteError,), {"__module__": module or "builtins"})
    # type() rather than isinstance(), which asks a lazy object what it stands for.
    if not issubclass(type(found), type) or not issubclass(found, Exception):
        return stand_in(message)
    try:
        error: Exception = found(*payloads.decode(json.dumps(args))) if isinstance(args, list) else found(message)
    except Exception:
        return stand_in(message)
    return error


def _loaded(path: str) -> Any:
    """Find what the path names in the modules that are loaded."""
    names = path.split(".")
    for end in range(len(names) - 1, 0, -1):
        found: Any = sys.modules.get(".".join(names[:end]))
        if found is not None:
            for name in names[end:]:
                found = vars(found).get(name) if hasattr(found, "__dict__") else None
            return found
    return None


class RemoteError(DjtasksError):
    """Stands in for an exception whose class is not loaded here, or cannot be made anew."""
