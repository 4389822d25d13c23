"""What operators do to tasks: asked first, by the queue's own verbs, written down, and only by who may."""

from __future__ import annotations

import re
import threading
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection, connections
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from djtasks import AsyncResult, chain
from djtasks.admin.confirming import CONFIRMED
from djtasks.admin.tasks import acting
from djtasks.admin.tasks.admin import TaskAdmin
from djtasks.admin.tasks.verbs import VERBS
from djtasks.models import Message, Result
from djtasks.tasks import registry
from djtasks.testing.inline import InlineWorker
from tests.admin.conftest import SECRET, Operator
from tests.admin.sentences import LIST, act, listed, page_of
from tests.helpers_inprocess import run_one, run_until_empty
from tests.tasks import add, fail

ALL = ("retry_task", "revoke_task", "change_task", "delete_task", "view_payload")
MAY = {
    "run_now": "retry_task",
    "retry": "retry_task",
    "send_again": "retry_task",
    "revoke": "revoke_task",
    "terminate": "revoke_task",
    "move": "change_task",
    "delete_ended": "delete_task",
}

FINGERPRINT = re.compile(r"<td><code>([0-9a-f]{12})</code></td>")


def everything() -> list[Any]:
    return [list(table.objects.order_by("pk").values()) for table in (Message, Result)]


def done(*args: Any) -> str:
    """Have a task run; return its id."""
    handle = add.delay(*args)
    run_until_empty()
    return handle.id


def test_delayed_task_runs_now(admin_client: Client) -> None:
    handle = add.apply_async((1, 2), countdown=3600)
    assert "due now: 1" in act(admin_client, "run_now", handle.id)
    run_one()
    assert handle.get(timeout=0) == 3
    assert "had" not in act(admin_client, "run_now", handle.id) and AsyncResult(handle.id).successful()


def test_failed_task_runs_again_under_its_id(admin_client: Client) -> None:
    handle = fail.delay()
    run_until_empty()
    assert "runs again: 1" in act(admin_client, "retry", handle.id)
    assert listed(admin_client) == {handle.id: "ready"}
    run_until_empty()
    assert len(AsyncResult(handle.id).errors) == 2


def test_task_is_sent_again_under_a_new_id(admin_client: Client) -> None:
    handle = add.apply_async((1, 2), queue="mail", priority=7, headers={"a": 1})
    run_until_empty()
    assert "new id: 1" in act(admin_client, "send_again", handle.id)
    message = Message.objects.get()
    assert (message.task, message.args, message.queue, message.priority) == (add.name, [1, 2], "mail", 7)
    assert message.options["headers"] == {"a": 1} and str(message.pk) != handle.id


def test_secrets_of_what_is_sent_again_are_masked(admin_client: Client, log_in: str) -> None:
    """S10: also where only the message says that there are any."""
    handle = registry.get(log_in).map([SECRET]).apply_async()
    run_until_empty()
    assert "new id: 1" in act(admin_client, "send_again", handle.id)
    again = Message.objects.get()
    assert again.kwargs["it"] == [SECRET] and SECRET not in page_of(admin_client, again.pk)


def test_what_was_handed_more_than_its_arguments_is_not_sent_again(admin_client: Client) -> None:
    """Nobody knows any more what that was; under its own id it can run again."""
    failed = fail.apply_async(("broken",), link_error=fail.s())
    last = chain(fail.si(), add.s(3)).delay()
    run_until_empty()
    for task_id in (Result.objects.get(parent=failed.id).pk, last.id):
        assert "gone, or cannot run again: 1" in act(admin_client, "send_again", task_id)
    assert not Message.objects.exists()


def test_waiting_task_is_revoked(admin_client: Client) -> None:
    handle = add.delay(1, 2)
    assert "will never begin: 1" in act(admin_client, "revoke", handle.id)
    assert AsyncResult(handle.id).state == "REVOKED"
    assert "had ended already: 1" in act(admin_client, "revoke", handle.id)


@pytest.mark.parametrize(("verb", "signal"), [("revoke", ""), ("terminate", "SIGTERM")])
def test_running_task_is_told(admin_client: Client, verb: str, signal: str) -> None:
    """B6: and the answer says no more than that."""
    handle = add.delay(1, 2)
    assert InlineWorker().reserve()
    assert "has been told: 1" in act(admin_client, verb, handle.id)
    message = Message.objects.get()
    assert message.revoked_at is not None and message.terminate == signal


def test_running_task_is_not_run_a_second_time(admin_client: Client) -> None:
    """B10."""
    handle = add.delay(1, 2)
    worker = InlineWorker()
    (message,) = worker.reserve()
    before = everything()
    for verb in ("retry", "run_now", "send_again", "delete_ended"):
        assert "left alone: 1" in act(admin_client, verb, handle.id) or verb == "send_again"
        assert everything() == before, verb
    worker.deliver(message)
    assert AsyncResult(handle.id).deliveries == 1 and not LogEntry.objects.exists()


def test_queue_and_priority_are_changed(admin_client: Client) -> None:
    handle = add.delay(1, 2)
    assert "changed: 1" in act(admin_client, "move", handle.id, queue="mail", priority="9")
    assert Message.objects.values_list("queue", "priority").get() == ("mail", 9)
    act(admin_client, "move", handle.id, queue="", priority="0")
    assert Message.objects.values_list("queue", "priority").get() == ("mail", 0)
    assert "queue=mail" in LogEntry.objects.order_by("pk")[0].change_message


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"queue": "a b", "priority": ""}, "is no name for a queue"),
        ({"queue": "", "priority": "101"}, "less than or equal to 100"),
        ({"queue": "", "priority": ""}, "Name a queue or a priority"),
    ],
)
def test_place_that_cannot_be_is_refused(admin_client: Client, given: dict[str, str], complaint: str) -> None:
    handle = add.delay(1, 2)
    before = everything()
    assert complaint in act(admin_client, "move", handle.id, **given)
    assert everything() == before


def test_ended_task_is_deleted_and_a_living_one_is_not(admin_client: Client) -> None:
    ended = done(1, 2)
    alive = add.delay(1, 2).id
    page = act(admin_client, "delete_ended", ended, alive)
    assert "deleted: 1" in page and "left alone: 1" in page
    assert list(listed(admin_client)) == [alive]


# One, several, all


def test_page_of_a_task_offers_what_applies_to_it(admin_client: Client) -> None:
    ended, alive = done(1, 2), add.delay(1, 2).id
    assert verbs_on(page_of(admin_client, alive)) == {"revoke", "terminate", "move"}
    assert verbs_on(page_of(admin_client, ended)) == {"retry", "send_again", "delete_ended"}


def verbs_on(page: str) -> set[str]:
    return {name for name in VERBS if f'name="action" value="{name}"' in page}


def test_from_the_page_of_a_task_one_comes_back_to_it(admin_client: Client) -> None:
    handle = add.delay(1, 2)
    data = {"action": "revoke", "_selected_action": handle.id, "from": "task", CONFIRMED: "yes"}
    answer = admin_client.post(reverse(LIST), data)
    assert answer.headers["Location"] == reverse("admin:djtasks_task_change", args=[handle.id])


def test_all_that_match_are_meant_and_no_others(admin_client: Client) -> None:
    """Also of pages that were not shown, and of both tables."""
    mail = [add.apply_async((1, 2), queue="mail").id for _ in range(60)]
    other = add.delay(1, 2).id
    assert "will never begin: 60" in act(admin_client, "revoke", where="?queue=mail", select_across="on")
    assert set(listed(admin_client, state="ready")) == {other}
    assert Result.objects.filter(pk__in=mail, state="REVOKED").count() == 60
    assert LogEntry.objects.count() == 60


def test_what_is_sent_after_the_question_is_not_meant(admin_client: Client) -> None:
    asked = add.delay(1, 2).id
    question = act(admin_client, "revoke", select_across="on", confirmed=False)
    until = question.partition('name="until" value="')[2].partition('"')[0]
    later = add.delay(1, 2).id
    Message.objects.filter(pk=later).update(enqueued_at=timezone.now() + timedelta(seconds=1))
    act(admin_client, "revoke", select_across="on", until=until)
    assert listed(admin_client) == {later: "ready", asked: "REVOKED"}


def test_of_very_many_some_are_left_for_the_next_time(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acting, "MOST_AT_ONCE", 3)
    for _ in range(5):
        add.delay(1, 2)
    page = act(admin_client, "revoke", where="?state=live", select_across="on")
    assert "will never begin: 3" in page and "do it once more" in page
    assert "do it once more" not in act(admin_client, "revoke", where="?state=live", select_across="on")
    assert not Message.objects.exists()


# Asked first, written down


@pytest.mark.parametrize("verb", VERBS)
def test_nothing_is_done_before_it_is_confirmed(admin_client: Client, verb: str) -> None:
    """S6."""
    ended, alive, delayed = done(1, 2), add.delay(1, 2).id, add.apply_async((1, 2), countdown=60).id
    before = everything()
    question = act(admin_client, verb, ended, alive, delayed, confirmed=False)
    assert 'name="confirmed"' in question and all(pk in question for pk in (ended, alive, delayed))
    assert everything() == before and not LogEntry.objects.exists()


@pytest.mark.parametrize("verb", VERBS)
def test_nothing_is_done_by_looking_nor_for_another_site(verb: str) -> None:
    """S6."""
    from django.contrib.auth.models import User

    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("root", "", "x"))
    handle = add.apply_async((1, 2), countdown=60)
    before = everything()
    data = {"action": verb, "_selected_action": handle.id, CONFIRMED: "yes", "queue": "mail"}
    page = reverse("admin:djtasks_task_change", args=[handle.id])
    client.get(reverse(LIST), data)
    client.get(page, data)
    assert client.post(reverse(LIST), data).status_code == 403
    assert client.post(page, data).status_code == 403
    for name in ("change", "delete"):
        Client.post(client, reverse(f"admin:djtasks_task_{name}", args=[handle.id]), {"post": "yes"})
    assert everything() == before


def test_page_of_a_task_takes_nothing(admin_client: Client) -> None:
    handle = add.delay(1, 2)
    before = everything()
    assert admin_client.post(reverse("admin:djtasks_task_change", args=[handle.id]), {"queue": "x"}).status_code == 405
    answer = admin_client.post(reverse("admin:djtasks_task_delete", args=[handle.id]), {"post": "yes"})
    assert answer.status_code == 403 and everything() == before


def test_who_did_what_is_written_down_and_told(operator: Operator) -> None:
    """S9."""
    handle = add.delay(1, 2)
    client = operator("revoke_task", name="anna")
    act(client, "revoke", handle.id)
    entry = LogEntry.objects.get()
    assert (entry.user.get_username(), entry.object_id) == ("anna", handle.id)
    assert entry.change_message == "Revoke: revoked, will never begin"
    assert entry.get_admin_url() == reverse("admin:djtasks_task_change", args=[handle.id])
    history = client.get(reverse("admin:djtasks_task_history", args=[handle.id])).content.decode()
    for page in (page_of(client, handle.id), history):
        assert "anna" in page and entry.change_message in page


@pytest.mark.parametrize("verb", ["retry", "send_again"])
def test_age_and_fingerprint_are_shown_before_a_task_is_run_again(operator: Operator, verb: str) -> None:
    """S9: who may not see arguments can tell that they are still the same, and the log can, too."""
    handle, other = (fail.apply_async(("correct horse",)) for _ in range(2))
    run_until_empty()
    Result.objects.update(enqueued_at=timezone.now() - timedelta(days=3, hours=1))
    client = operator("retry_task", name="anna")
    asked = act(client, verb, handle.id, confirmed=False)
    assert "3 d ago" in asked and "correct horse" not in asked
    (shown,) = fingerprints = FINGERPRINT.findall(asked)
    assert FINGERPRINT.findall(act(client, verb, handle.id, confirmed=False)) == fingerprints
    others = FINGERPRINT.findall(act(client, verb, other.id, confirmed=False))
    act(client, verb, handle.id)
    entry = LogEntry.objects.get()
    assert entry.user.get_username() == "anna" and entry.change_message.endswith(f", arguments {shown}")
    Result.objects.filter(pk=other.id).update(args=["changed"])
    assert len({shown, *others, *FINGERPRINT.findall(act(client, verb, other.id, confirmed=False))}) == 3


def test_fingerprint_outlives_a_run(admin_client: Client) -> None:
    handle = fail.apply_async(("no",), headers={"a": 1})
    told: list[list[str]] = []
    for _ in range(2):
        run_until_empty()
        told.append(FINGERPRINT.findall(act(admin_client, "retry", handle.id, confirmed=False)))
        act(admin_client, "retry", handle.id)
    assert told[0] == told[1] and len(told[0]) == 1


@pytest.mark.parametrize("spoilt", ["[1,", '["\\ud800"]', f"{'[' * 40}{']' * 40}", '[{"$set": [1, "a", null]}]', ""])
def test_fingerprint_is_taken_of_whatever_stands_there(admin_client: Client, spoilt: str) -> None:
    handle = fail.delay()
    run_until_empty()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE djtasks_result SET args = %s", [spoilt])
    assert len(FINGERPRINT.findall(act(admin_client, "retry", handle.id, confirmed=False))) == 1


def test_fingerprint_is_taken_only_where_something_is_run_again(admin_client: Client) -> None:
    handle = add.delay(1, 2)
    assert not FINGERPRINT.findall(act(admin_client, "revoke", handle.id, confirmed=False))
    act(admin_client, "revoke", handle.id)
    assert "arguments" not in LogEntry.objects.get().change_message


def test_of_two_who_do_the_same_at_once_one_has_done_it(operator: Operator) -> None:
    """B11."""
    handle = fail.delay()
    run_until_empty()
    clients = [operator("retry_task", name=name) for name in ("anna", "bob")]
    pages: list[str] = []

    def retry(client: Client) -> None:
        pages.append(act(client, "retry", handle.id))
        connections.close_all()

    threads = [threading.Thread(target=retry, args=[client]) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted("runs again: 1" in page for page in pages) == [False, True]
    assert Message.objects.count() == 1 and LogEntry.objects.count() == 1


# Who may


@pytest.mark.parametrize("verb", VERBS)
def test_only_who_may_is_offered_a_verb_and_can_do_it(operator: Operator, verb: str) -> None:
    """S7."""
    ended, delayed = done(1, 2), add.apply_async((1, 2), countdown=60).id
    before = everything()
    others = operator(*(set(ALL) - {MAY[verb]}), name="other")
    viewer = operator(name="viewer")
    for client in (others, viewer):
        act(client, verb, ended, delayed, queue="mail")
        act(client, verb, select_across="on", queue="mail")
        assert everything() == before
        assert verb not in verbs_on(page_of(client, ended)) | verbs_on(page_of(client, delayed))
    act(operator(MAY[verb]), verb, ended, delayed, queue="mail")
    assert everything() != before


def test_only_who_may_sees_arguments_and_what_errors_say(operator: Operator) -> None:
    """S7, S10."""
    handle = fail.delay("the secret")
    run_until_empty()
    page = page_of(operator(*(set(ALL) - {"view_payload"}), name="other"), handle.id)
    assert "ValueError" in page and "the secret" not in page and "Traceback" not in page
    assert "the secret" in page_of(operator("view_payload"), handle.id)


def test_who_may_not_look_does_not_see_anything(transactional_db: None) -> None:
    """S19."""
    from django.contrib.auth.models import User

    handle = add.delay(1, 2)
    pages = [reverse(LIST), reverse("admin:djtasks_task_change", args=[handle.id])]
    stranger, staff = Client(), Client()
    staff.force_login(User.objects.create_user("staff", is_staff=True))
    for page in pages:
        assert stranger.get(page).status_code == 302 and staff.get(page).status_code == 403


def test_some_may_be_hidden_from_some(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """S16: neither seen, nor reached by anything that is done to all."""
    theirs, ours = add.apply_async((1, 2), queue="theirs").id, add.apply_async((1, 2), queue="ours").id
    monkeypatch.setattr(TaskAdmin, "visible", lambda self, request, rows: rows.filter(queue="ours"))
    assert list(listed(admin_client)) == [ours]
    assert admin_client.get(reverse("admin:djtasks_task_change", args=[theirs])).status_code == 302
    act(admin_client, "revoke", theirs)
    act(admin_client, "revoke", select_across="on")
    assert list(Message.objects.values_list("queue", flat=True)) == ["theirs"]


@pytest.mark.parametrize("chosen", [[str(uuid4())], ["nonsense"], []])
def test_what_is_not_there_is_not_done(admin_client: Client, chosen: list[str]) -> None:
    data = {"action": "revoke", "index": "0", "_selected_action": chosen, CONFIRMED: "yes"}
    admin_client.raise_request_exception = False
    assert admin_client.post(reverse(LIST), data).status_code in (302, 400)
    assert not LogEntry.objects.exists()
