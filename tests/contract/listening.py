"""Hears of all ends, in the workers that import it."""

from __future__ import annotations

import logging
from typing import Any

from django.dispatch import receiver

from tests.contract.django import task_finished

logger = logging.getLogger("tests.contract")


@receiver(task_finished)
def hear(task_result: Any, **kwargs: Any) -> None:
    recorded = task_result.task.get_result(task_result.id)
    logger.warning("heard of %s: %s, recorded as %s", task_result.id, task_result.status, recorded.status)
