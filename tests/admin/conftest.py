"""Operators before the control room, and what they can read there."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from djtasks import shared_task
from djtasks.tasks import registry

Operator = Callable[..., Client]
SECRET = "correct horse"
REFUSED = "This task cannot be chosen here"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/admin/" in item.path.as_posix():
            item.add_marker(pytest.mark.django_db(transaction=True))


@pytest.fixture
def operator(transactional_db: None) -> Operator:
    """Makes an operator with these permissions alone, who has logged in."""

    def make(*permissions: str, name: str = "operator") -> Client:
        user = User.objects.create_user(name, password="x", is_staff=True)
        codes = ("view_task", *permissions)
        found = Permission.objects.filter(content_type__app_label="djtasks", codename__in=codes)
        assert {each.codename for each in found} == set(codes)
        user.user_permissions.set(found)
        client = Client()
        client.force_login(user)
        return client

    return make


@pytest.fixture
def log_in() -> Iterator[str]:
    """A task with a secret among its arguments."""
    yield shared_task(name="tests.log_in", sensitive=["password"])(lambda user, password: None).name
    registry.forget("tests.log_in")


@pytest.fixture
def dangerous() -> Iterator[str]:
    """A task that nobody may choose in the admin."""
    yield shared_task(name="tests.dangerous", schedulable=False)(lambda command="": None).name
    registry.forget("tests.dangerous")
