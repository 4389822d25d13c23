"""A worker and its callers behind PgBouncer in transaction mode, with no setting for it: C11, F21."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from django.db import connections

from tests.bouncer import PgBouncer
from tests.helpers import Diary, all_settled, running_worker
from tests.tasks import add, fail_twice, note, note_late, note_limited

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]


@pytest.fixture
def bouncer() -> Iterator[PgBouncer]:
    """A pooler for the workers and for this process, too."""
    own = connections["default"].settings_dict
    before = dict(own)
    with PgBouncer(os.environ["DATABASE_URL"], size=4) as started:
        connections["default"].close()
        own |= started.place
        yield started
        connections["default"].close()
        own.clear()
        own.update(before)


def test_whole_life_of_messages_behind_a_pooler(bouncer: PgBouncer, diary: Diary) -> None:
    """C11: early, late, limited, with retries and with results that are waited for; more clients than connections."""
    with running_worker(url=bouncer.url) as first, running_worker("--pool=threads", url=bouncer.url) as second:
        handles = [task.delay(diary.path, task.name) for _ in range(15) for task in (note, note_late)]
        handles += [note_limited.delay(diary.path, note_limited.name) for _ in range(3)]
        retried = [fail_twice.delay() for _ in range(3)]
        assert [add.delay(number, 1).get(timeout=20) for number in range(10)] == list(range(1, 11))
        results = all_settled([*handles, *retried])
        for worker in (first, second):
            assert worker.log.count("behind a pooler") == 1
            assert "the database is not there" not in worker.log and "Traceback" not in worker.log
            assert worker.stop() == 0
    assert {(result.state, result.losses) for result in results} == {("SUCCESS", 0)}
    assert diary.counts() == {note.name: 15, note_late.name: 15, note_limited.name: 3}
