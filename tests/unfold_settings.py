"""The settings of the tests with django-unfold, which dresses the whole admin anew."""

from __future__ import annotations

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS, MIDDLEWARE

INSTALLED_APPS = ["unfold", *INSTALLED_APPS]

# Its own pages evaluate what stands in them, which the strictest policy forbids.
MIDDLEWARE = [each for each in MIDDLEWARE if each != "tests.policy.strict_policy"]
