"""Canvases that run here and now: the plan that workers would follow, with the same ends (MON-3, CANV)."""

from __future__ import annotations

from typing import Any

import pytest

from djtasks import EagerResult, GroupResult, Workflow, chain, chord, group, shared_task, signature
from djtasks.exceptions import ChordError, Ignore, NotRegistered
from djtasks.models import Result
from tests.tasks_api.samples import add, echo, fail, note, ran, retry_until


def test_handles_are_those_of_what_has_ended() -> None:
    """MON-3."""
    last = (add.s(1, 1) | add.s(2)).apply()
    assert isinstance(last, EagerResult) and isinstance(last.parent, EagerResult) and last.parent.parent is None
    assert (last.get(), last.parent.get()) == (4, 2)
    whole = chain(add.s(1, 1), group(add.s(1), add.s(2))).apply()
    assert isinstance(whole, GroupResult) and whole.get() == [3, 4] and whole.parent.get() == 2
    body = chord([add.s(1, 1), add.s(2, 2)], echo.s()).apply()
    assert body.get() == [[[2, 4]], {}] and isinstance(body.parent, GroupResult) and body.parent.get() == [2, 4]
    assert body.parent.successful() and body.parent.completed_count() == 2


def test_failure_ends_what_waits_with_the_cause() -> None:
    """CANV-4, CANV-8, MON-3."""
    last = chain(add.s(1, 1), fail.si("broken"), note.s(), note.s()).apply()
    assert (last.state, last.parent.state, last.parent.parent.state) == ("FAILURE",) * 3
    assert last.parent.parent.parent.get() == 2 and not ran
    with pytest.raises(ValueError, match="broken"):
        last.get()
    body = (chord([add.s(1, 1), fail.s("broken")], note.s()) | note.s()).apply()
    with pytest.raises(ChordError, match=r"Dependency .* raised ValueError\(broken\)"):
        body.get()
    assert body.parent.state == "FAILURE" and body.parent.parent[0].get() == 2 and not ran


def test_ignored_step_revokes_what_waits() -> None:
    """CANV-4, MON-3."""

    @shared_task
    def ignore() -> None:
        raise Ignore

    last = (ignore.s() | note.s()).apply()
    assert (last.state, last.parent.state, ran) == ("REVOKED", "IGNORED", [])


def test_retries_of_a_member_do_not_count() -> None:
    """CANV-9, MON-3."""
    assert chord([retry_until.s(2), add.s(1, 1)], echo.s()).apply().get() == [[[2, 2]], {}]


def test_callbacks_and_errbacks_run() -> None:
    """CANV-2, CANV-3, MON-3."""

    @shared_task
    def tell(request: Any, exc: BaseException, traceback: str, *own: Any) -> None:
        ran.append((request.id, request.args, type(exc), str(exc), own))

    assert add.apply((1, 2), link=[note.s(), note.si("after")], link_error=tell.s()).get() == 3
    assert ran == [3, "after"]
    ran.clear()
    failed = fail.apply(("broken",), link=note.s(), link_error=[tell.s("own"), note.s(), note.si("fixed")])
    assert failed.failed()
    assert ran == [(failed.id, ("broken",), ValueError, "broken", ("own",)), failed.id]


def test_errback_of_a_chain_runs_once() -> None:
    """CANV-3, CANV-4, MON-3."""
    last = chain(add.s(1, 1), fail.si(), add.s(1), add.s(2)).on_error(note.s()).apply()
    assert ran == [last.parent.parent.id]


def test_errback_of_a_chord_runs_once_for_its_body() -> None:
    """CANV-8, MON-3."""
    body = (group(fail.s(), fail.s()) | echo.s()).on_error(note.s()).apply()
    assert ran == [body.id]


def test_failure_is_raised_where_that_is_asked_for(settings: Any) -> None:
    """MON-3."""
    whole = chain(add.s(1, 1), fail.si("broken"), note.s())
    with pytest.raises(ValueError, match="broken"):
        whole.apply(throw=True)
    settings.DJTASKS = {"TASK_ALWAYS_EAGER": True, "TASK_EAGER_PROPAGATES": True}
    for send in (whole.delay, lambda: fail.apply_async(link=note.s())):
        with pytest.raises(ValueError, match=r"broken|no"):
            send()
    assert whole.apply(throw=False).failed() and not ran


@pytest.mark.django_db
def test_results_are_kept_where_the_settings_say_so(settings: Any) -> None:
    """MON-3."""
    settings.DJTASKS = {"TASK_ALWAYS_EAGER": True, "TASK_STORE_EAGER_RESULT": True}
    last = chain(add.s(1, 1), fail.si(), echo.s("own")).delay()
    kept = {str(each.pk): each for each in Result.objects.all()}
    assert len(kept) == 3 and kept[last.id].state == "FAILURE" and kept[last.id].args == ["own"]
    assert str(kept[last.id].parent) == last.parent.id


def test_task_that_is_not_known_is_an_error(eager: None) -> None:
    """CALL-7, MON-3: in a canvas its value would be needed."""
    with pytest.raises(NotRegistered):
        (add.s(1, 1) | signature("elsewhere")).delay()


def test_values_go_through_json(eager: None) -> None:
    """MON-3."""
    same = shared_task(lambda value: value, name="same")
    assert (same.s((1, 2)) | echo.s()).delay().get() == [[[1, 2]], {}]
    given = [1]
    change = shared_task(lambda numbers: numbers.append(2), name="change")
    assert (change.s(given) | echo.s()).delay().get() == [[None], {}] and given == [1]


def test_ignored_results_are_handed_on(eager: None) -> None:
    """CANV-7, MON-3."""
    quiet = shared_task(lambda value: value, name="quiet", ignore_result=True)
    assert chord([quiet.s(1), quiet.s(2)], echo.s()).delay().get() == [[[1, 2]], {}]


def test_errback_that_is_a_canvas_runs(eager: None) -> None:
    """CANV-3, MON-3."""
    failed = fail.s().on_error(echo.s("told") | note.s()).apply_async()
    assert ran == [[[failed.id, "told"], {}]]


@pytest.mark.parametrize("send", [Workflow.apply, Workflow.apply_async])
def test_conditions_of_a_workflow_are_kept(send: Any, settings: Any) -> None:
    """MON-3."""
    settings.DJTASKS = {"TASK_ALWAYS_EAGER": True}
    flow = Workflow()
    good, bad = flow.add(add.s(1, 2)), flow.add(fail.s())
    for condition in ("success", "failure", "end"):
        flow.add(note.si(f"good {condition}"), after=[good], on=condition)
        flow.add(note.si(f"bad {condition}"), after=[bad], on=condition)
    both = flow.add(echo.s("own"), after=[(bad, "end"), good])
    members = flow.add(group(echo.s(1), echo.s(2)), after=[good])
    handles = send(flow)
    assert sorted(ran) == ["bad end", "bad failure", "good end", "good success"]
    assert [handle.state for handle in handles] == [
        *("SUCCESS", "FAILURE", "SUCCESS", "FAILURE", "IGNORED", "SUCCESS"),
        *("SUCCESS", "SUCCESS", "SUCCESS", "SUCCESS"),
    ]
    assert both.result.get() == [[3, "own"], {}]
    assert members.result.get() == [[[3, 1], {}], [[3, 2], {}]]
