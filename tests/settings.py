"""The smallest Django project that has all that djtasks touches; the database is that of DATABASE_URL."""

from __future__ import annotations

from importlib.util import find_spec

import environ

env = environ.Env()

SECRET_KEY = "only for the tests"
DEBUG = env.bool("DEBUG", default=False)
ALLOWED_HOSTS = ["*"]
USE_TZ = True
ROOT_URLCONF = "tests.urls"
STATIC_URL = "static/"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.admin",
    "djtasks",
    "tests",
]

MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "tests.policy.strict_policy",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# Workers and beats serve no pages, and start sooner without what does.
if env.bool("WITHOUT_SITE", default=False):
    SITE = ("admin", "messages", "sessions", "staticfiles")
    INSTALLED_APPS = [app for app in INSTALLED_APPS if not app.endswith(SITE)]
    ROOT_URLCONF, MIDDLEWARE, TEMPLATES = "", [], []

# In memory for tools that only need some database: mypy, makemigrations --check.
DATABASES = {"default": env.db("DATABASE_URL", default="sqlite://:memory:")}

if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"] |= {
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
        },
        # A file, where Django would take memory: worker processes open it, too.
        "TEST": {"NAME": f"{DATABASES['default']['NAME']}.test"},
    }

# What a test adds for its worker: how connections are kept, pooled and bound.
if extras := env.json("DATABASE_EXTRAS", default={}):
    options = {**DATABASES["default"].get("OPTIONS", {}), **extras.pop("OPTIONS", {})}
    DATABASES["default"] |= {**extras, "OPTIONS": options}

# Django's own tasks, where this Django has them, or the backport is there.
if find_spec("django.tasks") or find_spec("django_tasks"):
    TASKS = {"default": {"BACKEND": "djtasks.backend.DjtasksBackend", "QUEUES": []}}

# Tests give worker processes their settings through the environment.
DJTASKS = env.json("DJTASKS", default={})
