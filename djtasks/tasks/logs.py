"""Logging in tasks: which run a line comes from, and lines that cannot be forged (S13)."""

from __future__ import annotations

import json
import logging
import re
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from djtasks.conf import Settings, settings
from djtasks.domain import payloads
from djtasks.domain.complaints import OF_A_TASK
from djtasks.domain.escaping import many_lines, one_line
from djtasks.tasks.context import current_run
from djtasks.tasks.errors import TRACEBACK_BYTES, format_traceback

if TYPE_CHECKING:
    from djtasks.tasks.context import Request
    from djtasks.tasks.definition import Definition

MARGIN = "    "
_STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "in_task", *OF_A_TASK}


def get_task_logger(name: str) -> logging.Logger:
    """Return the logger of a module of tasks, below ``djtasks.task``."""
    return logging.getLogger("djtasks.task").getChild(name)


class TaskFilter(logging.Filter):
    """Tells each record the run that it comes from: ``task_id``, ``task_name`` and ``attempt``, or "-" outside."""

    def filter(self, record: logging.LogRecord) -> bool:
        fields = vars(record)
        if "task_id" not in fields:
            run = current_run()
            fields["in_task"] = run is not None
            fields.update(run_fields(*run) if run is not None else dict.fromkeys(OF_A_TASK, "-"))
        return True


def run_fields(task: Definition, request: Request) -> dict[str, Any]:
    """Give the fields by which a line of the log names a run, also one that is over (``extra=``)."""
    return {"task_id": request.id or "-", "task_name": task.name, "attempt": request.retries + 1}


class _Fields:
    """The fields of a record as a format asks for them, each on one line."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self._fields = fields

    def __getitem__(self, name: str) -> Any:
        value = self._fields.get(name, "-")
        return value if isinstance(value, (int, float)) else one_line(str(value))


class TextFormatter(logging.Formatter):
    """A line for each record, and below it, behind a margin, the traceback: nothing in a record can look like another.

    Formats are those of ``WORKER_LOG_FORMAT`` and, for what is logged in a task, ``WORKER_TASK_LOG_FORMAT``.
    """

    def format(self, record: logging.LogRecord) -> str:
        made = {"message": record.getMessage(), "asctime": self.formatTime(record)}
        line = self._format(vars(record)) % _Fields({**vars(record), **made})
        below = [line for part in _details(record) for line in many_lines(part).rstrip("\n").split("\n")]
        return "\n".join([line, *(MARGIN + each for each in below)])

    def _format(self, fields: dict[str, Any]) -> str:
        name = "WORKER_TASK_LOG_FORMAT" if fields.get("in_task") else "WORKER_LOG_FORMAT"
        chosen: str = getattr(settings, name)
        return chosen if chosen != "json" else getattr(Settings, name)


class JsonFormatter(logging.Formatter):
    """A JSON object in a line for each record, with what was given as ``extra``; pure ASCII."""

    def format(self, record: logging.LogRecord) -> str:
        fields = vars(record)
        known = {
            "time": datetime.fromtimestamp(record.created, tz=UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "process": record.process,
        }
        if fields.get("task_id", "-") != "-":
            known |= {name: fields.get(name) for name in OF_A_TASK}
        if details := list(_details(record)):
            known["traceback"] = "\n".join(details)
        extra = {name: value for name, value in fields.items() if name not in _STANDARD}
        return json.dumps({**extra, **known}, default=_shown)


def _shown(value: object) -> str:
    try:
        return str(value)
    except Exception:
        return f"<{type(value).__name__}>"


def _details(record: logging.LogRecord) -> Iterator[str]:
    """Yield what stands below a line: the traceback and the stack, without local variables, bounded in size."""
    if given := vars(record).get("traceback"):
        yield str(given)
    elif record.exc_info and record.exc_info[1] is not None:
        yield payloads.printable(_traceback(record.exc_info[1]), TRACEBACK_BYTES)
    if record.stack_info:
        yield record.stack_info


_FRAME = re.compile(r'[\s|+]*File "')


def _traceback(error: BaseException) -> str:
    """Format a traceback in which line breaks are Python's own, and none an exception's."""
    try:
        parts = traceback.format_exception(error)
    except BaseException:
        return format_traceback(error)
    own = ("\n", "Traceback")
    return "".join(
        part if part.startswith(own) or _FRAME.match(part) else one_line(part.rstrip("\n")) + "\n" for part in parts
    )
