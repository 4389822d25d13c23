"""The settings of a project with django-tasks-db; the backend is the one word that changes when it moves."""

from __future__ import annotations

import os

SECRET_KEY = "only for the tests"
USE_TZ = True

INSTALLED_APPS = ["django.contrib.contenttypes", "django_tasks_db", "djtasks", "tests.moved_project.shop"]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ["SHOP_DATABASE"],
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
        },
    }
}

TASKS = {
    "default": {
        "BACKEND": os.environ["SHOP_BACKEND"],
        "QUEUES": ["default", "mail"],
        "OPTIONS": {"id_function": "uuid.uuid4"},
    }
}
