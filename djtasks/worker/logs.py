"""The worker's log: shown on the terminal unless the project has handlers of its own."""

from __future__ import annotations

import logging

from djtasks import signals
from djtasks.conf import settings
from djtasks.tasks.logs import JsonFormatter, TaskFilter, TextFormatter

FORMATTERS: dict[str, type[logging.Formatter]] = {"text": TextFormatter, "json": JsonFormatter}
_chosen: dict[str, str] = {}


def set_up_logging(level: str, form: str | None = None) -> None:
    """Set the level of djtasks' loggers, and show what is logged, in tasks too, where nobody else does.

    ``form`` is "text" or "json"; without it the settings say. Receivers of ``setup_logging`` do all of it themselves.
    """
    formats = (settings.WORKER_LOG_FORMAT, settings.WORKER_TASK_LOG_FORMAT)
    form = form or ("json" if "json" in formats else "text")
    _chosen.update(level=level, form=form)
    facts = {"loglevel": level.upper(), "logfile": None, "format": form, "colorize": False}
    if signals.setup_logging.receivers:
        signals.send(signals.setup_logging, None, **facts)
        return
    logger = logging.getLogger("djtasks")
    logger.setLevel(level.upper())
    if not logger.hasHandlers():
        _show_all(level, FORMATTERS[form]())
    signals.send(signals.after_setup_logger, None, logger=logging.getLogger(), **facts)
    signals.send(signals.after_setup_task_logger, None, logger=logging.getLogger("djtasks.task"), **facts)


def _show_all(level: str, formatter: logging.Formatter) -> None:
    """Show what any logger says: a task uses those of its own modules, and of libraries."""
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    handler.addFilter(TaskFilter())
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(level.upper())


def choice() -> tuple[str, str | None]:
    """Return what was chosen in this process, for its children."""
    level = logging.getLevelName(logging.getLogger("djtasks").getEffectiveLevel())
    return _chosen.get("level", level), _chosen.get("form")
