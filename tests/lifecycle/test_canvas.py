"""Workflows of all shapes in real workers (CANV)."""

from __future__ import annotations

import pytest

from djtasks import Workflow, chain, chord, group
from djtasks.exceptions import ChordError, TaskRevokedError, WorkerLostError
from djtasks.models import Dependency
from tests.helpers import (
    Diary,
    each_pool,
    messages,
    on_one_database,
    running_worker,
    settled,
    wait_until,
    why,
)
from tests.shapes import SHAPES, outcome
from tests.tasks import add, die, fail, fail_twice, give_ignored, hold, note, show, tell_error, tell_id, total

pytestmark = pytest.mark.django_db(transaction=True)


def until_all_is_over(timeout: float = 60) -> None:
    wait_until(lambda: not messages().exists(), timeout, "the end of all messages")


@each_pool
def test_every_shape_has_its_value(pool: str) -> None:
    """CANV-1, CANV-4 to CANV-9, CANV-11: all at once, beside each other."""
    sent = {name: make().apply_async() for name, (make, _) in SHAPES.items()}
    with running_worker(f"--pool={pool}", "--loglevel=critical"):
        until_all_is_over()
    found = {name: outcome(result) for name, result in sent.items()}
    assert found == {name: expected for name, (_, expected) in SHAPES.items()}
    # Only what failed and may be taken up again has kept its edges.
    assert not Dependency.objects.filter(fate="").exists()


# What follows a task (CANV-2, CANV-3)


def test_callbacks_and_errbacks_run_once_each(diary: Diary) -> None:
    """CANV-2, CANV-3."""
    good, bad = add.s(1, 2), fail.s("broken")
    for task in (good, bad):
        task.link(note.si(diary.path, "callback"))
        task.link(note.si(diary.path, "callback"))
        task.link_error(tell_error.s(diary.path))
        task.link_error(tell_id.s(diary=diary.path))
    succeeded, failed = good.apply_async(), bad.apply_async()
    with running_worker():
        until_all_is_over()
    assert succeeded.successful() and failed.failed()
    assert diary.counts() == {
        "callback": 1,
        f"{failed.id} tests.tasks.fail ValueError broken True": 1,
        f"failed {failed.id}": 1,
    }


def test_errback_of_a_chain_runs_once_for_the_step_that_failed(diary: Diary) -> None:
    """CANV-3, CANV-4."""
    last = chain(add.s(1, 1), fail.si(), add.s(1), add.s(1)).on_error(tell_id.s(diary=diary.path)).apply_async()
    with running_worker():
        until_all_is_over()
    assert diary.counts() == {f"failed {last.parent.parent.id}": 1}
    assert why(settled(last)) == why(settled(last.parent)) == "ValueError"
    assert last.parent.parent.parent.get() == 2


def test_errback_of_a_chord_runs_once_for_its_body(diary: Diary) -> None:
    """CANV-8."""
    body = (
        (group(add.s(1, 1), fail.s("a"), fail.s("b")) | total.s()).on_error(tell_id.s(diary=diary.path)).apply_async()
    )
    with running_worker():
        until_all_is_over()
    assert diary.counts() == {f"failed {body.id}": 1}
    with pytest.raises(ChordError, match=r"Dependency .* raised ValueError\([ab]\)"):
        body.get()


def test_errback_may_be_a_workflow(diary: Diary) -> None:
    """CANV-3."""
    errback = tell_id.s(diary=diary.path) | note.si(diary.path, "tidied up")
    failed = fail.s().on_error(errback).on_error(note.si(diary.path, "takes nothing")).apply_async()
    with running_worker():
        until_all_is_over()
    assert diary.counts() == {f"failed {failed.id}": 1, "tidied up": 1, "takes nothing": 1}


def test_lost_and_expired_members_end_what_waits_for_them(diary: Diary) -> None:
    """CANV-4, CANV-8, B7: with the cause kept, so that nobody waits in vain."""
    lost = chord([add.s(1, 2), die.s()])(total.s().on_error(tell_id.s(diary=diary.path)))
    expired = chord([add.s(1, 2), note.s(diary.path, "too late").set(expires=-1)])(total.s())
    after_lost = chain(die.s(), add.si(1, 2), add.s(3)).apply_async()
    after_expired = chain(note.s(diary.path, "too late").set(expires=-1), add.si(1, 2)).apply_async()
    with running_worker("--loglevel=critical"):
        until_all_is_over()
    assert isinstance(lost.result, ChordError) and isinstance(lost.result.__cause__, WorkerLostError)
    assert isinstance(expired.result, ChordError) and "expired" in str(expired.result)
    assert isinstance(after_lost.result, WorkerLostError) and after_lost.state == "FAILURE"
    assert isinstance(after_expired.result, TaskRevokedError) and after_expired.state == "REVOKED"
    assert diary.counts() == {f"failed {lost.id}": 1}


def test_retries_fire_nothing(diary: Diary) -> None:
    """CANV-3, CANV-9, RETRY-11."""
    retried = fail_twice.s().on_error(tell_id.s(diary=diary.path))
    retried.link(note.si(diary.path, "callback"))
    body = chord([retried, add.s(1, 1)], note.si(diary.path, "body")).apply_async()
    with running_worker():
        until_all_is_over()
    assert body.successful() and body.parent.get() == [2, 2]
    assert diary.counts() == {"callback": 1, "body": 1}


# Beyond Celery


def test_conditions_of_a_workflow_are_kept(diary: Diary) -> None:
    """CANV: success, failure, end."""
    flow = Workflow()
    good, bad = flow.add(add.s(1, 2)), flow.add(fail.s())
    for condition in ("success", "failure", "end"):
        for name, node in (("good", good), ("bad", bad)):
            flow.add(note.si(diary.path, f"{name} {condition}"), after=[node], on=condition)
    both = flow.add(show.s(), after=[good, (bad, "end")])
    handles = flow.apply_async()
    with running_worker():
        until_all_is_over()
    assert diary.counts() == {"good success": 1, "good end": 1, "bad failure": 1, "bad end": 1}
    assert both.result is handles[-1] and both.result.get() == [[3], {}]
    assert not handles[4].exists() and why(settled(handles[3])) == "ValueError"


def test_no_more_members_run_at_once_than_the_limit_says(diary: Diary) -> None:
    """CANV-5."""
    held = group((hold.s(diary.path, str(each), diary.gate) for each in range(6)), limit=2).apply_async()
    with running_worker("--pool=threads", concurrency=6):
        diary.until("0")
        diary.until("1")
        # One that comes later ends, though four slots are free.
        settled(add.delay(1, 1))
        assert set(diary.counts()) == {"0", "1"}
        diary.open_gate()
        until_all_is_over()
    running = most = 0
    for word, _ in diary.lines():
        running += -1 if word.endswith("ended") else 1
        most = max(most, running)
    assert most == 2 and held.successful()


# Size


@on_one_database
def test_chain_of_a_thousand() -> None:
    """CANV-4: bounded in time, and so is its failure at the first step."""
    good = chain(add.s(0, 1), *[add.s(1)] * 999).apply_async()
    bad = chain(fail.s(), *[add.s(1)] * 999).apply_async()
    with running_worker("--pool=threads", "--loglevel=critical"):
        assert settled(good, 60).value == 1000
        assert why(settled(bad, 60)) == "ValueError"


@on_one_database
def test_chord_of_ten_thousand_also_nested() -> None:
    """CANV-7: bounded in time; the lists come whole and in order."""
    wide = chord((give_ignored.s(each) for each in range(10_000)), show.s()).apply_async()
    inner = [chord((add.s(each, 0) for each in range(1000)), total.s()) for _ in range(3)]
    nested = chord([chord(inner, total.s()), add.s(1, 1)], show.s()).apply_async()
    with running_worker("--pool=threads", "--loglevel=critical", concurrency=4):
        assert settled(nested, 120).value == [[[3 * 499_500, 2]], {}]
        assert settled(wide, 120).value == [[list(range(10_000))], {}]
