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

PICKLING = "the backport's tasks cannot be pickled, whatever their backend"
WORDS = "the backport, or a Python that is older than this Django, says it in other words"
EXCLUDED_WITH_BACKPORT = {
    "test_tasks.TaskTestCase.test_pickle_task": PICKLING,
    "test_tasks.TaskTestCase.test_pickle_task_result": PICKLING,
    "test_tasks.TaskTestCase.test_unpickle_arbitrary_string": PICKLING,
    "test_tasks.TaskTestCase.test_unpickle_non_task_object": PICKLING,
    "test_custom_backend.CustomBackendTestCase.test_enqueue_async_task_on_non_async_backend": WORDS,
    "test_custom_backend.CustomBackendTestCase.test_no_enqueue": WORDS,
    "test_dummy_backend.DummyBackendTestCase.test_validate_disallowed_async_task": WORDS,
    "test_tasks.TaskTestCase.test_run_after_in_decorator": WORDS,
}


class Runner(DiscoverRunner):
    """Leaves out what is excluded, and says so."""

    def build_suite(self, *args: Any, **kwargs: Any) -> unittest.TestSuite:
        found = list(_tests(super().build_suite(*args, **kwargs)))
        excluded = EXCLUDED if Task.__module__.startswith("django.") else EXCLUDED | EXCLUDED_WITH_BACKPORT
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
