"""The Django project of djtasks' side: nothing but the queue."""

from __future__ import annotations

import environ

env = environ.Env()

SECRET_KEY = "only for benchmarks"
USE_TZ = True
INSTALLED_APPS = ["djtasks", "benchmarks"]
DATABASES = {"default": env.db("DATABASE_URL")}
