"""The Django project of djtasks' side: nothing but the queue, and a table for a request to write to."""

from __future__ import annotations

import environ

env = environ.Env()

SECRET_KEY = "only for benchmarks"
USE_TZ = True
ALLOWED_HOSTS = ["testserver"]
ROOT_URLCONF = "benchmarks.views"
INSTALLED_APPS = ["django.contrib.sessions", "djtasks", "benchmarks"]
# Connections stay open on all sides.
DATABASES = {"default": {**env.db("DATABASE_URL"), "CONN_MAX_AGE": None}}
