"""Messages that are revoked while workers are there, and while they are not: WORK-9, B5, B6, B10, G6."""

from __future__ import annotations

import random
import threading

import pytest
from django.db import connections

from djtasks import AsyncResult, enqueue_many
from djtasks.exceptions import TaskRevokedError
from tests.helpers import Diary, all_settled, drain, is_running, on_one_database, running_worker, settled, wait_until
from tests.tasks import hold, hold_late, note, run_until_revoked

pytestmark = [pytest.mark.django_db(transaction=True), on_one_database]

MINUTE = {"LEASE_SECONDS": 60}


def reason(handle: AsyncResult) -> str:
    result = settled(handle)
    assert result.state == "REVOKED"
    return str(result.errors[-1]["reason"])


def test_revocation_outlives_workers_and_is_there_before_them(diary: Diary) -> None:
    """WORK-9, B5: it is a fact of the row; nobody has to hear it."""
    revoked, runs = note.delay(diary.path, "revoked"), note.delay(diary.path, "runs")
    assert revoked.revoke() == "revoked"
    drain("--pool=solo")
    assert (settled(runs).state, diary.counts()) == ("SUCCESS", {"runs": 1})
    with pytest.raises(TaskRevokedError):
        revoked.get(timeout=5)
    assert runs.revoke() == "too_late"


@pytest.mark.parametrize("late", [False, True])
def test_terminated_process_is_replaced(diary: Diary, late: bool) -> None:
    """WORK-9, B6: the body is ended at once, by the signal that was named; its message never runs again."""
    body = (hold_late if late else hold).delay(diary.path, "body", diary.gate)
    with running_worker(concurrency=1, **MINUTE) as worker:
        pid = diary.until("body")
        assert body.revoke(terminate=True, signal="TERM") == "requested"
        assert reason(body) == "terminated by SIGTERM"
        assert not is_running(pid) or wait_until(lambda: not is_running(pid))
        assert settled(note.delay(diary.path, "next")).state == "SUCCESS"
        assert worker.stop() == 0
    assert diary.counts() == {"body": 1, "next": 1}


def test_terminated_thread_is_replaced_and_its_late_word_refused(diary: Diary) -> None:
    """B6: a thread cannot be ended, but its slot does not leak, and what it says later counts for nothing."""
    body = hold.delay(diary.path, "body", diary.gate)
    with running_worker("--pool=threads", concurrency=1, **MINUTE) as worker:
        diary.until("body")
        assert body.revoke(terminate=True) == "requested"
        assert reason(body) == "terminated by SIGTERM"
        assert settled(note.delay(diary.path, "next")).state == "SUCCESS"
        diary.open_gate()
        assert worker.stop() == 0
    assert settled(body).state == "REVOKED"


@pytest.mark.parametrize("pool", ["processes", "threads", "solo"])
def test_body_can_see_that_it_was_revoked(diary: Diary, pool: str) -> None:
    """B6: in every pool; whether it heeds that is its own business, and what it says then is true."""
    heeds, ignores = run_until_revoked.delay(diary.path, "heeds"), None
    with running_worker(f"--pool={pool}", concurrency=1, **MINUTE):
        diary.until("heeds")
        assert heeds.revoke() == "requested"
        assert reason(heeds) == "revoked"
        ignores = run_until_revoked.delay(diary.path, "ignores", catches=True)
        diary.until("ignores")
        assert ignores.revoke() == "requested"
        assert settled(ignores).value == "finished all the same"


def test_body_never_begins_after_the_answer_revoked(diary: Diary) -> None:
    """B5, F17, G6: 2,000 messages, revoked at random while two workers race for them."""
    handles = enqueue_many((note, (diary.path, str(number))) for number in range(2000))
    answers: dict[str, str] = {}

    def revoke_some(seed: int) -> None:
        chosen = random.Random(seed).sample(range(2000), 300)
        for number in chosen:
            if handles[number].revoke() == "revoked":
                answers[str(number)] = handles[number].id
        connections.close_all()

    with running_worker(**MINUTE), running_worker("--pool=threads", **MINUTE):
        threads = [threading.Thread(target=revoke_some, args=(seed,)) for seed in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        results = all_settled(handles)
    ran = diary.counts()
    assert answers and not answers.keys() & ran.keys()
    assert set(ran.values()) == {1} and len(ran) + sum(result.state == "REVOKED" for result in results) == 2000
