"""The project's settings, as Celery reads them with ``namespace="CELERY"``, and the one statement that moves them."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from tests.settings import *  # noqa: F403
from tests.settings import DJTASKS as GIVEN
from tests.settings import INSTALLED_APPS as COMMON

INSTALLED_APPS = [*COMMON, "tests.migrated_project.shop"]

CELERY_BROKER_URL = "redis://localhost:6379/0"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_RESULT_BACKEND = "redis://localhost:6379/1"
CELERY_RESULT_EXPIRES = timedelta(hours=6)
CELERY_RESULT_EXTENDED = True
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SERIALIZER = "json"
CELERY_RESULT_SERIALIZER = "json"
CELERY_TIMEZONE = "Europe/Berlin"
CELERY_ENABLE_UTC = True
CELERY_TASK_DEFAULT_QUEUE = "celery"
CELERY_TASK_TRACK_STARTED = True
CELERY_TASK_TIME_LIMIT = 30 * 60
CELERY_TASK_SOFT_TIME_LIMIT = 25 * 60
CELERY_TASK_ROUTES = (
    {
        "tests.migrated_project.shop.tasks.send_*": {"queue": "mail", "priority": 5},
        re.compile(r".*\.render_(thumbnail|poster)"): {"queue": "media"},
    },
    "tests.migrated_project.shop.routers.by_customer",
)
CELERY_TASK_ANNOTATIONS = {"tests.migrated_project.shop.tasks.count_visit": {"rate_limit": "100/s"}}
CELERY_WORKER_CONCURRENCY = 2
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_MAX_TASKS_PER_CHILD = 100
CELERY_WORKER_SEND_TASK_EVENTS = True

# This is all that was added.
MOVED: dict[str, Any] = {
    name.removeprefix("CELERY_"): value for name, value in dict(globals()).items() if name.startswith("CELERY_")
}
DJTASKS = {**GIVEN, **MOVED}
