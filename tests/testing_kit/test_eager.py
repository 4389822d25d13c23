"""Tasks that run in their caller for as long as a test wants them to (MON-3)."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import SimpleTestCase, override_settings

from djtasks import EagerResult
from djtasks.conf import settings
from djtasks.models import Message
from djtasks.testing import eager
from tests.tasks_api.samples import add, echo, fail

pytestmark = pytest.mark.django_db


def test_task_runs_where_it_is_called() -> None:
    with eager():
        result = add.delay(1, 2)
    assert isinstance(result, EagerResult) and result.get() == 3
    add.delay(1, 2)
    assert Message.objects.count() == 1


def test_arguments_go_through_json() -> None:
    with eager():
        assert echo.delay((1, 2)).get() == [[[1, 2]], {}]


def test_error_is_raised_in_the_caller_unless_told_otherwise() -> None:
    with eager(), pytest.raises(ValueError, match="no"):
        fail.delay("no")
    with eager(propagate=False):
        assert fail.delay("no").failed()


@override_settings(DJTASKS={"LEASE_SECONDS": 7})
def test_other_settings_stay() -> None:
    with eager():
        assert (settings.LEASE_SECONDS, settings.TASK_ALWAYS_EAGER) == (7, True)
    assert (settings.LEASE_SECONDS, settings.TASK_ALWAYS_EAGER) == (7, False)


@eager()
def test_function_may_be_decorated() -> None:
    assert add.delay(1, 2).get() == 3


@eager()
class DecoratedTest(SimpleTestCase):
    def test_class_may_be_decorated(self) -> None:
        self.assertEqual(add.delay(1, 2).get(), 3)

    @override_settings(DJTASKS={"LEASE_SECONDS": 7})
    def test_what_is_nearer_goes_before(self) -> None:
        result: Any = settings.LEASE_SECONDS
        self.assertEqual((result, settings.TASK_ALWAYS_EAGER), (7, False))
