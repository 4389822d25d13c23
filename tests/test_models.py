"""The tables: what is kept as JSON text, what the database fills in, and what reading never breaks on."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.apps import apps
from django.core import serializers
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.db.models import F, Value
from django.db.models.functions import Concat
from django.utils import timezone

from djtasks import AsyncResult
from djtasks.exceptions import EncodeError
from djtasks.models import Message, Result, Worker
from tests.helpers_inprocess import run_until_empty
from tests.tasks import add

pytestmark = pytest.mark.django_db
PAYLOAD = [None, 1, 1.5, "ü\n", {"a": [Decimal("1.10"), uuid.uuid4(), {1, 2}, datetime(2026, 1, 31, tzinfo=UTC)]}]


def spoil(table: str, column: str, text: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {table} SET {column} = %s", [text])  # noqa: S608


def test_models_and_migrations_agree() -> None:
    call_command("makemigrations", "djtasks", check=True, dry_run=True, stdout=StringIO())


def test_no_key_depends_on_the_projects_default() -> None:
    """DEFAULT_AUTO_FIELD."""
    assert [model for model in apps.get_app_config("djtasks").get_models() if model._meta.pk.auto_created] == []


# Payloads


def test_payload_comes_back_as_it_was() -> None:
    """E6."""
    Message.objects.create(task="some.name", args=PAYLOAD, kwargs={"x": PAYLOAD}, meta={1})
    message = Message.objects.get()
    assert (message.args, message.kwargs, message.meta) == (PAYLOAD, {"x": PAYLOAD}, {1})


def test_payload_that_cannot_be_stored_is_refused_with_the_column_and_the_path() -> None:
    """E1, E2."""
    with pytest.raises(EncodeError, match=r"args\[0\]\.x is of type builtins.object"):
        Message.objects.create(task="some.name", args=[{"x": object()}])


@pytest.mark.parametrize("text", ["not json", "", "NaN", '{"$date": "never"}', "[" * 5000 + "]" * 5000])
def test_payload_that_cannot_be_read_is_shown_as_it_stands(text: str) -> None:
    """E3."""
    Message.objects.create(task="some.name")
    spoil("djtasks_message", "args", text)
    assert Message.objects.get().args == text


def test_row_that_was_read_can_be_saved_again() -> None:
    Message.objects.create(task="some.name", args=PAYLOAD, errors=[{"kind": "retry", "message": "x"}])
    Message.objects.get().save()
    message = Message.objects.get()
    assert message.args == PAYLOAD and message.errors == [{"kind": "retry", "message": "x"}]


def test_rows_can_be_dumped_and_loaded() -> None:
    Message.objects.create(task="some.name", args=PAYLOAD, errors=[{"kind": "retry", "message": "x\n"}])
    Result.objects.create(task="some.name", state="SUCCESS", value=None)
    Result.objects.create(task="some.name", state="SUCCESS", value="text")
    before = everything()
    text = serializers.serialize("json", [*Message.objects.all(), *Result.objects.all()])
    Message.objects.all().delete()
    Result.objects.all().delete()
    for each in serializers.deserialize("json", text):
        each.save()
    assert everything() == before


def everything() -> list[dict[str, Any]]:
    """All that the tables hold but moments, of which Django dumps milliseconds only."""
    rows = [*Message.objects.order_by("id").values(), *Result.objects.order_by("id").values()]
    return [{name: value for name, value in row.items() if not name.endswith("_at")} for row in rows]


def test_expression_may_stand_for_a_payload() -> None:
    message = Message.objects.create(task="some.name", args=Value("[1]"))
    Message.objects.update(kwargs=Value('{"x": 2}'))
    message.refresh_from_db()
    assert (message.args, message.kwargs) == ([1], {"x": 2})


# Errors


def test_errors_are_a_line_each() -> None:
    Message.objects.create(task="some.name")
    for number in (1, 2):
        line = json.dumps({"kind": "retry", "message": f"line\n{number}"}) + "\n"
        Message.objects.update(errors=Concat(F("errors"), Value(line)))
    assert [error["message"] for error in Message.objects.get().errors] == ["line\n1", "line\n2"]


@pytest.mark.parametrize("line", ["not json", "7", "[1]", '"text"', "[" * 5000])
def test_error_that_cannot_be_read_is_shown_as_it_stands(line: str) -> None:
    """S18."""
    Message.objects.create(task="some.name")
    spoil("djtasks_message", "errors", f'{{"kind": "retry"}}\n{line}\n')
    assert Message.objects.get().errors == [{"kind": "retry"}, {"kind": "unreadable", "message": line}]


@pytest.mark.parametrize(
    ("state", "found"), [("FAILURE", "last"), ("REVOKED", "last"), ("SUCCESS", None), ("NEW", None)]
)
def test_error_of_a_result_is_the_one_that_ended_it(state: str, found: str | None) -> None:
    result = Result(task="some.name", state=state, errors=[{"message": "first"}, {"message": "last"}])
    assert result.error == (found and {"message": "last"})


def test_result_without_errors_has_none() -> None:
    assert Result(task="some.name", state="FAILURE").error is None


# What the database fills in


@pytest.mark.django_db(transaction=True)
def test_row_that_was_inserted_by_hand_is_a_message() -> None:
    """Any program that can write to the database can send a message."""
    task_id = uuid.uuid4()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO djtasks_message (id, task, args) VALUES (%s, %s, %s)",
            [str(task_id) if connection.vendor == "postgresql" else task_id.hex, add.name, "[1, 2]"],
        )
    message = Message.objects.get()
    assert (message.queue, message.priority, message.kwargs, message.options) == ("default", 0, {}, {})
    assert (message.retries, message.deliveries, message.losses, message.errors) == (0, 0, 0, [])
    assert message.due_at is not None and abs(message.due_at - timezone.now()) < timedelta(minutes=1)
    run_until_empty()
    assert AsyncResult(task_id).get() == 3


@pytest.mark.parametrize("model", [Message, Result])
def test_id_is_one_of_a_kind(model: Any) -> None:
    first = model.objects.create(task="some.name", state="SUCCESS")
    with pytest.raises(IntegrityError), transaction.atomic():
        model.objects.create(id=first.id, task="some.name", state="SUCCESS")


def test_ids_rise() -> None:
    ids = [Message.objects.create(task="some.name").id for _ in range(5)]
    assert list(Message.objects.order_by("id").values_list("id", flat=True)) == ids


@pytest.mark.parametrize(
    ("instance", "text"),
    [
        (Message(id=uuid.UUID(int=1), task="some.name"), "some.name 00000000-0000-0000-0000-000000000001"),
        (Result(id=uuid.UUID(int=1), task="some.name"), "some.name 00000000-0000-0000-0000-000000000001"),
        (Worker(name="djtasks@here"), "djtasks@here"),
    ],
)
def test_rows_have_a_name_for_people(instance: Any, text: str) -> None:
    assert str(instance) == text


# States


NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
BEFORE, AFTER = NOW - timedelta(minutes=1), NOW + timedelta(minutes=1)


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        ({"due_at": None}, "PENDING"),
        ({"due_at": AFTER}, "PENDING"),
        ({"due_at": AFTER, "retries": 1}, "RETRY"),
        ({"due_at": BEFORE}, "PENDING"),
        ({"due_at": BEFORE, "retries": 1}, "RETRY"),
        ({"due_at": BEFORE, "leased_until": AFTER}, "PENDING"),
        ({"due_at": BEFORE, "leased_until": AFTER, "started_at": BEFORE}, "STARTED"),
        ({"due_at": BEFORE, "leased_until": AFTER, "started_at": BEFORE, "retries": 1}, "STARTED"),
        ({"due_at": BEFORE, "leased_until": AFTER, "started_at": BEFORE, "state": "FETCHING"}, "FETCHING"),
        ({"due_at": BEFORE, "leased_until": BEFORE, "started_at": BEFORE, "state": "FETCHING"}, "PENDING"),
    ],
)
def test_state_is_read_from_the_facts(facts: dict[str, Any], state: str) -> None:
    """RES-1, RES-3."""
    assert Message(task="some.name", **facts).current_state(NOW) == state


def test_lease_touches_no_indexed_column() -> None:
    indexed = {name.lstrip("-") for index in Message._meta.indexes for name in index.fields}
    assert indexed.isdisjoint({"leased_until", "worker", "deliveries", "losses", "started_at", "errors"})
