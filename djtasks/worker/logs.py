"""The worker's log: shown on the terminal unless the project has handlers of its own."""

from __future__ import annotations

import logging

FORMAT = "[%(asctime)s: %(levelname)s/%(process)d] %(message)s"


def set_up_logging(level: str) -> None:
    """Set the level of djtasks' loggers, and show them where nobody else does."""
    logger = logging.getLogger("djtasks")
    logger.setLevel(level.upper())
    if not logger.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter(FORMAT))
        logger.addHandler(handler)


def level_name() -> str:
    """Return the level that this process logs at, for its children."""
    return logging.getLevelName(logging.getLogger("djtasks").getEffectiveLevel())
