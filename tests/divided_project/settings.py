"""The settings of a project whose queue is in a database of its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS as COMMON

INSTALLED_APPS = [*(app for app in COMMON if app != "tests"), "tests.divided_project.shop"]


def database(name: str) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": Path(os.environ["DIVIDED_PROJECT"]) / f"{name}.sqlite3",
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
        },
    }


DATABASES = {"default": database("data"), "queue": database("queue")}
DATABASE_ROUTERS = ["djtasks.routers.DjtasksRouter"]
DJTASKS = {"DATABASE": "queue"}
