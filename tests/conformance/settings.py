"""The settings under which Django's tests run: those of our own tests, with as little beside them as possible."""

from __future__ import annotations

from tests.settings import *  # noqa: F403

INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "djtasks"]
ROOT_URLCONF, MIDDLEWARE, TEMPLATES = "", [], []
TEST_RUNNER = "tests.conformance.runner.Runner"
