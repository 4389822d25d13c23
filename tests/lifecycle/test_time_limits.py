"""Bodies that run too long: WORK-3, ACK-5, ACK-6, A7."""

from __future__ import annotations

import pytest

from tests.helpers import Diary, is_running, messages, on_one_database, running_worker, settled, wait_until, why
from tests.tasks import deadlock, hog, note, outstay, outstay_late

pytestmark = [pytest.mark.django_db(transaction=True), on_one_database]

MINUTE = {"LEASE_SECONDS": 60}


@pytest.mark.parametrize("pool", ["processes", "threads", "solo"])
def test_soft_limit_is_raised_in_the_body(diary: Diary, pool: str) -> None:
    """WORK-3: it may be caught, and then the task can still succeed; the next body hears nothing of it."""
    with running_worker(f"--pool={pool}", "--soft-time-limit=0.4", concurrency=1, **MINUTE):
        failed = outstay.delay(diary.path, "one", diary.gate)
        caught = outstay.delay(diary.path, "two", diary.gate, catches=True)
        assert why(settled(failed)) == "SoftTimeLimitExceeded"
        assert settled(caught).value == "in time after all"
        assert settled(note.delay(diary.path, "next")).state == "SUCCESS"
    assert diary.has("one was interrupted") and diary.has("two was interrupted")
    assert diary.has("one on_failure SoftTimeLimitExceeded")


def test_hard_limit_ends_the_process_and_the_next_runs(diary: Diary) -> None:
    """WORK-3, ACK-6: it is FAILURE, told by the hooks, and nobody else is harmed."""
    with running_worker("--time-limit=0.6", concurrency=1, **MINUTE) as worker:
        ended = outstay.delay(diary.path, "body", diary.gate)
        pid = diary.until("body")
        result = settled(ended)
        assert (why(result), result.losses) == ("TimeLimitExceeded", 0)
        wait_until(lambda: not is_running(pid))
        assert settled(note.delay(diary.path, "next")).state == "SUCCESS"
        diary.until("body on_failure TimeLimitExceeded"), diary.until("body after_return FAILURE")
        assert "ended by its time limit" in worker.log or "is ended" in worker.log
        assert worker.stop() == 0
    assert "body ended" not in diary.counts()


def test_late_message_is_ended_and_delivered_again(diary: Diary) -> None:
    """ACK-5: as often as it may be lost, since that would go on for ever."""
    with running_worker("--time-limit=0.4", concurrency=1, MAX_DELIVERIES=2, **MINUTE):
        result = settled(outstay_late.delay(diary.path, "body", diary.gate))
    assert (why(result), diary.counts()["body"]) == ("TimeLimitExceeded", 2)
    assert [error["type"].rpartition(".")[2] for error in result.errors] == ["TimeLimitExceeded"] * 2


@pytest.mark.parametrize("pool", ["processes", "threads"])
def test_deadlocked_body_does_not_keep_its_slot(diary: Diary, pool: str) -> None:
    """A7: its lease is alive, but it will never end by itself."""
    with running_worker(f"--pool={pool}", "--time-limit=0.6", concurrency=1, **MINUTE) as worker:
        stuck = deadlock.delay(diary.path, "stuck")
        assert why(settled(stuck)) == "TimeLimitExceeded"
        assert settled(note.delay(diary.path, "next")).state == "SUCCESS"
        assert worker.stop() == 0


def test_thread_that_holds_the_interpreter_is_ended_with_its_process(diary: Diary) -> None:
    """A7, A6: nothing else in that process could run."""
    with running_worker("--pool=threads", "--time-limit=0.6", concurrency=1, **MINUTE):
        stuck = hog.delay(diary.path, "hog", 50)
        assert why(settled(stuck)) == "TimeLimitExceeded"
        assert settled(note.delay(diary.path, "next")).state == "SUCCESS"
    assert "hog ended" not in diary.counts() and not messages().exists()


def test_limit_of_the_call_goes_first(diary: Diary) -> None:
    """CALL-5: the worker's limits are for who says nothing."""
    with running_worker("--time-limit=60", concurrency=1, **MINUTE):
        ended = outstay.apply_async((diary.path, "body", diary.gate), time_limit=0.4)
        assert why(settled(ended)) == "TimeLimitExceeded"
