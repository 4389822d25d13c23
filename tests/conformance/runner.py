"""Runs all of Django's tests but those that cannot apply, of which each has its reason."""

from __future__ import annotations

import unittest
from collections.abc import Iterator
from typing import Any

from django.test.runner import DiscoverRunner

from djtasks.compat import Task

MEMORY = "changes a result in the memory of the dummy backend, and expects to read that change"
EXCLUDED = {
    "test_dummy_backend.DummyBackendTestCase.test_refresh_result": MEMORY,
    "test_dummy_backend.DummyBackendTestCase.test_refresh_result_async": MEMORY,
}

_PICKLING = "the backport's tasks cannot be pickled, whatever their backend"
_WORDS = "the backport says it in other words"
EXCLUDED_OF_BACKPORT: dict[str, str] = {}


class Runner(DiscoverRunner):
    """Leaves out what is excluded, and says so."""

    def build_suite(self, *args: Any, **kwargs: Any) -> unittest.TestSuite:
        found = list(_tests(super().build_suite(*args, **kwargs)))
        excluded = EXCLUDED if Task.__module__.startswith("django.") else EXCLUDED | EXCLUDED_OF_BACKPORT
        names = {test.id().removeprefix("tasks.") for test in found}
        for name, reason in excluded.items():
            print(f"excluded: {name}: {reason}" if name in names else f"not there: {name}")
        return self.test_suite([test for test in found if test.id().removeprefix("tasks.") not in excluded])


def _tests(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    for each in suite:
        if isinstance(each, unittest.TestSuite):
            yield from _tests(each)
        else:
            yield each
