"""Rows that were written or edited by hand: E1, E3, E9, S2, S18."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from djtasks import AsyncResult, send_task
from djtasks.domain.identifiers import uuid7
from djtasks.models import Message
from tests.helpers import Diary, all_settled, messages, on_one_database, running_worker, settled, wait_until, why
from tests.tasks import add, note

pytestmark = pytest.mark.django_db(transaction=True)

DEEP = "[" * 5000 + "]" * 5000
SPOILT: dict[str, dict[str, Any]] = {
    "no JSON": {"args": "nonsense"},
    "half of it": {"args": "[1, 2"},
    "empty": {"args": ""},
    "too deep": {"args": f"[1, {DEEP}]"},
    "deep keyword": {"kwargs": '{"x": ' + DEEP + "}"},
    "args is an object": {"args": "{}"},
    "args is a number": {"args": "5"},
    "args is null": {"args": "null"},
    "kwargs is a list": {"kwargs": "[]"},
    "keyword of a number": {"args": "[]", "kwargs": '{"1": 2}'},
    "not a number": {"args": "[NaN, Infinity]"},
    "unknown tag": {"args": '[{"$nobody": "knows"}, 2]'},
    "broken tag": {"args": '[{"$datetime": "yesterday"}, 2]'},
    "tags within tags": {"args": '[{"$set": [{"$set": [[]]}]}, 2]'},
    "surrogate": {"args": '["\\ud800", 2]'},
    "null byte": {"args": '["a\\u0000b", 2]'},
    "huge number": {"args": "[" + "9" * 5000 + ", 1]"},
    "options no JSON": {"options": "nonsense"},
    "options deep": {"options": DEEP},
    "options is a list": {"options": "[1]"},
    "options is null": {"options": "null"},
    "headers is a number": {"options": '{"headers": 5}'},
    "headers is text": {"options": '{"headers": "abc"}'},
    "alien options": {"options": '{"nobody": "knows", "time_limit": {}, "shadow": [1]}'},
    "module for a task": {"task": "os.system", "args": '["touch /tmp/never"]'},
    "attribute for a task": {"task": "tests.tasks.add.__class__"},
    "empty task": {"task": ""},
    "control characters": {"task": "a\n[CRITICAL] \x1b[31m b"},
    "minus retries": {"retries": -5},
    "many retries": {"retries": 2**31 - 2},
    "minus losses": {"losses": -32000},
    "far priority": {"priority": 32767},
    "deliveries at the end": {"deliveries": 2**31 - 10},
    "errors no JSON": {"errors": "nonsense\n{"},
    "before all time": {"due_at": "0001-01-01 00:00:00+00:00"},
    "enqueued in the future": {"enqueued_at": "9999-12-31 23:00:00+00:00"},
    "expires beyond time": {"expires_at": "9999-12-31 23:59:59+00:00"},
}
MAY_SUCCEED = {
    "many retries",
    "minus retries",
    "minus losses",
    "far priority",
    "deliveries at the end",
    "alien options",
}
MAY_SUCCEED |= {"errors no JSON", "before all time", "enqueued in the future", "expires beyond time", "options is null"}
MAY_SUCCEED |= {"null byte", "surrogate", "options is a list"}


def spoil(fields: dict[str, Any]) -> AsyncResult:
    """Enqueue 1 + 2 and change its row in ways that only SQL can."""
    handle = add.apply_async((1, 2), task_id=str(uuid7()))
    columns = ", ".join(f'"{name}" = %s' for name in fields)
    key = handle.id if connection.vendor == "postgresql" else handle.id.replace("-", "")
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE djtasks_message SET {columns} WHERE id = %s", [*fields.values(), key])  # noqa: S608
    return handle


@pytest.mark.parametrize("pool", ["processes", pytest.param("solo", marks=on_one_database)])
def test_spoilt_rows_end_and_harm_nobody(diary: Diary, pool: str) -> None:
    """S18, E3: each ends as FAILURE where it has no sense, and whoever stands beside it runs."""
    spoilt, innocent = {}, []
    for name, fields in SPOILT.items():
        spoilt[name] = spoil(fields)
        innocent.append(note.delay(diary.path, "innocent"))
    with running_worker(f"--pool={pool}", concurrency=1, LEASE_SECONDS=60, UNKNOWN_TASK_GRACE=0) as worker:
        assert {result.state for result in all_settled(innocent)} == {"SUCCESS"}
        for name, handle in spoilt.items():
            result = settled(handle)
            assert (name, result.state) == (name, "FAILURE") or name in MAY_SUCCEED
        log = worker.log
        assert worker.stop() == 0
    assert "\x1b" not in log and "\n[CRITICAL]" not in log
    assert "is lost" not in log


@pytest.mark.postgres
def test_moments_without_end_harm_nobody(diary: Diary) -> None:
    """S18: PostgreSQL knows moments that Python does not."""
    spoilt = [
        spoil({"due_at": "-infinity"}),
        spoil({"due_at": "4713-01-01 00:00:00 BC"}),
        spoil({"expires_at": "infinity"}),
        spoil({"enqueued_at": "-infinity"}),
        spoil({"enqueued_at": "infinity"}),
        spoil({"task": "nobody.knows", "enqueued_at": "infinity"}),
        spoil({"started_at": "-infinity"}),
        spoil({"expires_at": "-infinity"}),
    ]
    with running_worker(concurrency=1, LEASE_SECONDS=60, UNKNOWN_TASK_GRACE=0) as worker:
        assert settled(note.delay(diary.path, "innocent")).state == "SUCCESS"
        wait_until(lambda: not messages().exclude(task="nobody.knows").exists())
        assert worker.stop() == 0
    assert len(spoilt) == 8


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="other databases have types")
def test_columns_without_types_harm_nobody(diary: Diary) -> None:
    """S18: SQLite keeps in any column whatever it is given."""
    moments = ("due_at", "enqueued_at", "expires_at", "started_at", "revoked_at", "leased_until")
    spoilt = [spoil({name: "0 nonsense"}) for name in moments]
    spoilt += [spoil({name: "nonsense"}) for name in ("group", "root", "parent", "worker", "acks_late", "losses")]
    spoil({"id": "nonsense"})
    innocent = [note.delay(diary.path, "innocent") for _ in range(5)]
    with running_worker("--pool=solo") as worker:
        assert {result.state for result in all_settled(innocent)} == {"SUCCESS"}
        wait_until(lambda: not messages().filter(pk__in=[handle.id for handle in spoilt]).exists())
        assert worker.stop() == 0


def test_unknown_task_waits_for_a_worker_that_knows_it(diary: Diary) -> None:
    """E9: an old worker beside a newer one leaves the name alone, and takes nothing from the message's deliveries."""
    handle = send_task("tests.newer.note", [diary.path, "first"])
    with running_worker("--pool=solo") as old:
        old.logs("tests.newer.note")
        wait_until(lambda: messages().filter(pk=handle.id, leased_until=None, deliveries=1, losses=0).exists())
        newer = {"PYTHONPATH": newer_code(diary), "DJANGO_SETTINGS_MODULE": "newer_settings"}
        with running_worker("--pool=solo", environment=newer):
            assert settled(handle).state == "SUCCESS"
            assert settled(add.delay(1, 2)).state == "SUCCESS"
            assert old.stop() == 0
    assert diary.counts() == {"first": 1}


def newer_code(diary: Diary) -> str:
    """Write settings of a release in which the task exists."""
    from pathlib import Path

    directory = Path(diary.path).parent / "newer"
    (directory / "newer_app").mkdir(parents=True)
    (directory / "newer_settings.py").write_text(
        "from tests.settings import *\nINSTALLED_APPS = [*INSTALLED_APPS, 'newer_app']\n"
    )
    (directory / "newer_app" / "__init__.py").touch()
    (directory / "newer_app" / "tasks.py").write_text(
        "from djtasks import shared_task\nfrom tests.tasks import write\nshared_task(name='tests.newer.note')(write)\n"
    )
    return str(directory)


@on_one_database
def test_unknown_task_ends_when_its_grace_is_over() -> None:
    """E9, CALL-8: as a failure that can be enqueued again, with its arguments."""
    with running_worker("--pool=solo", UNKNOWN_TASK_GRACE=1.5):
        settled(add.delay(1, 2))
        result = settled(send_task("tests.newer.note", ["a"], {"b": 1}))
    assert (why(result), result.args, result.kwargs, result.losses) == ("NotRegistered", ["a"], {"b": 1}, 0)
    assert result.deliveries >= 2
    assert not Message.objects.exists()
