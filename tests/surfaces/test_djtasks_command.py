"""``manage.py djtasks``: what it shows people, what it writes for programs, and with which status it ends (MON-6)."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from djtasks import AsyncResult, control
from djtasks.domain.identifiers import uuid7
from djtasks.management import status as status_module
from djtasks.management.report import ago, cell, table
from djtasks.models import Message, Worker
from djtasks.models.clock import Now
from djtasks.testing.inline import InlineWorker
from tests.helpers_inprocess import run_until_empty
from tests.surfaces.conftest import Run, told
from tests.tasks import add, fail, note
from tests.tasks_api.test_asking import gone, refuse, working

pytestmark = pytest.mark.django_db(transaction=True)

FACTS: dict[str, Any] = {
    "active": [{"id": "i", "name": "a.task", "args": "[1]", "kwargs": "{}", "seconds": 1.5, "worker_pid": 7}],
    "reserved": [],
    "registered": ["a.task [max_retries=3]"],
    "active_queues": [{"name": "*", "excluded": ["mail"]}],
    "stats": {"pid": 7, "pool": {"processes": [8]}, "total": {}},
    "held": [],
}


def answer(verb: str, arguments: Any) -> tuple[Any, bool]:
    return FACTS.get(verb, {"ok": f"{verb} {json.dumps(arguments, sort_keys=True)}"}), False


# Workers


@pytest.mark.parametrize(
    ("question", "shown"),
    [
        ("active", ["one: 1", "id  name    args", "i   a.task  [1]", "1.5"]),
        ("reserved", ["one: idle"]),
        ("revoked", ["one: none"]),
        ("registered", ["one: 1\n  a.task [max_retries=3]"]),
        ("active_queues", ["name  excluded", '*     ["mail"]']),
        ("stats", ["pid             7", "pool.processes  [8]", "total           {}"]),
        ("ping", ["one: ping {}"]),
        ("conf", ["one: conf {}"]),
    ],
)
def test_answers_are_shown_to_people(run: Run, question: str, shown: list[str]) -> None:
    gone("dead")
    with working("one", answer):
        status, out, err = run("inspect", question, "-t", "10")
    assert (status, err) == (0, "")
    for part in [*shown, "dead: dead"]:
        assert part in out


def test_answers_are_written_for_programs(run: Run) -> None:
    with working("one", answer), working("silent"):
        said = told(run, "inspect", "active", "-t", "0.5", "-d", "one, silent,nobody")
        assert said == {"answers": {"one": FACTS["active"]}, "missing": {"silent": "no answer", "nobody": "unknown"}}
        id = str(uuid7())
        assert id in told(run, "inspect", "query_task", id, "-d", "one")["answers"]["one"]["ok"]


def test_nobody_is_status_1(run: Run) -> None:
    gone("dead")
    status, out, err = run("inspect", "active", "-t", "0.1")
    assert (status, out.strip()) == (1, "dead: dead") and "no worker has answered" in err
    status, out, err = run("control", "pool_grow", "-t", "0.1", "--json")
    assert status == 1 and json.loads(out) == {"answers": {}, "missing": {"dead": "dead"}}


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        (["rate_limit", "a.task", "10/m"], {"task_name": "a.task", "rate_limit": "10/m"}),
        (["time_limit", "a.task", "1.5", "3"], {"task_name": "a.task", "soft": 1.5, "hard": 3.0}),
        (["time_limit", "a.task", "none"], {"task_name": "a.task", "soft": None, "hard": None}),
        (["pool_grow", "2"], {"n": 2}),
        (["pool_shrink"], {"n": 1}),
        (["pool_restart"], {}),
        (["autoscale", "4", "2"], {"max": 4, "min": 2}),
        (["add_consumer", "mail"], {"queue": "mail"}),
        (["cancel_consumer", "mail"], {"queue": "mail"}),
        (["shutdown"], {}),
    ],
)
def test_workers_are_told(run: Run, arguments: list[str], sent: dict[str, Any]) -> None:
    with working("one", answer), working("two", answer):
        said = told(run, "control", *arguments, "-d", "one", "-t", "10")
    assert said["answers"] == {"one": {"ok": f"{arguments[0]} {json.dumps(sent, sort_keys=True)}"}}


def test_refusal_is_status_1(run: Run) -> None:
    with working("one", refuse):
        status, out, err = run("control", "pool_grow", "-t", "10")
    assert status == 1 and "one: error: no pool_grow" in out and "1 of 1 workers refused" in err


# Messages


def test_messages_are_revoked(run: Run) -> None:
    """WORK-9."""
    first, second, third = add.delay(1, 2), add.apply_async((1, 2), queue="mail"), add.delay(1, 2)
    assert told(run, "control", "revoke", first.id) == {first.id: "revoked"}
    assert told(run, "control", "revoke", "--queue", "mail") == {"revoked": 1, "requested": 0, "too_late": 0}
    status, out, _ = run("control", "terminate", third.id, "--signal", "KILL")
    assert status == 0 and f"{third.id}  revoked" in out
    assert {AsyncResult(each.id).state for each in (first, second, third)} == {"REVOKED"}
    status, out, err = run("control", "revoke", first.id)
    assert status == 1 and "too_late" in out and "none of these lives" in err
    assert run("control", "revoke", "--stamp", "customer=a")[0] == 1


def test_status_shows_workers_and_queues(run: Run) -> None:
    alive = Worker.objects.create(name="one", host="h", pid=7, pool="processes", slots=2, excluded=["mail"])
    gone("lost")
    running = add.delay(1, 2)
    worker = InlineWorker()
    worker.holder.worker_id = str(alive.pk)
    assert worker.reserve()
    for _ in range(3):
        add.delay(1, 2)
    add.apply_async((1, 2), queue="mail", countdown=60)
    Message.objects.filter(leased_until=None, queue="default").update(due_at=Now() - timedelta(seconds=300))
    said = told(run, "status")
    workers = {worker["name"]: worker for worker in said["workers"]}
    assert (workers["one"]["alive"], workers["one"]["running"], workers["lost"]["alive"]) == (True, 1, False)
    queues = {queue["name"]: queue for queue in said["queues"]}
    assert (queues["default"]["ready"], queues["default"]["running"], queues["mail"]["delayed"]) == (3, 1, 1)
    assert 299 < queues["default"]["oldest_waiting_seconds"] < 400 and queues["mail"]["oldest_waiting_seconds"] is None
    status, out, _ = run("status")
    lines = [line.split() for line in out.splitlines()]
    (one,) = (line for line in lines if line[:2] == ["one", "alive"])
    assert status == 0 and one[3:] == ["s", "ago", "7", "processes", "2", "1", "all,", "not", "mail"]
    assert ["default", "3", "0", "0", "1", "5", "min"] in lines and ["mail", "0", "1", "0", "0", "-"] in lines
    assert running.exists()


def test_status_looks_at_so_many_and_says_so(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_module, "MOST_LOOKED_AT", 2)
    for _ in range(3):
        add.delay(1, 2)
    status, out, err = run("status")
    assert status == 1 and "no worker is alive" in err and "no workers" in out
    assert out.splitlines()[-1].split()[:5] == ["default", "2+", "0+", "0+", "0+"]


def test_messages_are_listed(run: Run) -> None:
    later = add.apply_async((1, 2), countdown=60)
    now, other = add.apply_async((1, 2), queue="mail"), note.delay("d", "w")
    assert [each["id"] for each in told(run, "list")] == [other.id, now.id, later.id]
    assert [each["id"] for each in told(run, "list", "--state", "delayed")] == [later.id]
    assert [each["id"] for each in told(run, "list", "--task", add.name, "--limit", "1")] == [now.id]
    status, out, _ = run("list", "--queue", "mail")
    assert status == 0 and now.id in out and "ready" in out and later.id not in out
    assert run("list", "--queue", "none")[1].strip() == "no messages"


def test_result_is_shown(run: Run) -> None:
    good, bad, waiting = add.delay(1, 2), fail.delay("so bad"), add.apply_async((1, 2), countdown=60)
    run_until_empty(patient=True)
    said = told(run, "result", good.id)
    assert (said["state"], said["result"], said["task"]) == ("SUCCESS", 3, add.name)
    status, out, _ = run("result", bad.id)
    assert status == 0 and "FAILURE" in out and "ValueError: so bad" in out and "Traceback" in out
    assert told(run, "result", waiting.id)["state"] == "PENDING"
    status, out, err = run("result", str(uuid7()))
    assert status == 1 and "no task has the id" in err


def test_task_is_sent(run: Run) -> None:
    status, out, _ = run(
        "call", add.name, "--args", "[2]", "--kwargs", '{"y": 5}', "--queue", "mail", "--priority", "3"
    )
    row = Message.objects.get(pk=out.strip())
    assert (status, row.task, row.queue, row.priority) == (0, add.name, "mail", 3)
    run_until_empty()
    assert AsyncResult(out.strip()).result == 7
    said = told(run, "call", "nobody.here.knows", "--countdown", "60")
    assert AsyncResult(said["id"]).state == "PENDING"
    status, _, err = run("call", add.name, "--args", "[1, 2, 3]")
    assert status == 1 and "cannot be called like this" in err


def test_purge_asks_first(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for queue in ("mail", "audio"):
        add.apply_async((1, 2), queue=queue)
    questions: list[str] = []
    for said, left in (("no", 2), ("", 2), ("yes", 1)):
        monkeypatch.setattr("builtins.input", lambda question, said=said: questions.append(question) or said)
        status, _, err = run("purge", "-Q", "mail")
        assert Message.objects.count() == left and (status == 0) is (said == "yes"), err
    assert questions == ["Delete all waiting messages of mail? Type yes: "] * 3
    assert told(run, "purge", "--force") == {"purged": 1}
    assert run("purge", "--force")[1].strip() == "0 waiting messages deleted"


# Usage


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "SUBCOMMAND"),
        (["inspect"], "QUESTION"),
        (["inspect", "nothing"], "invalid choice: 'nothing'"),
        (["inspect", "active", "-d", ","], "name at least one"),
        (["inspect", "active", "-t", "-1"], "'-1' is not a number of seconds"),
        (["inspect", "active", "-t", "nan"], "'nan' is not a number of seconds"),
        (["inspect", "query_task"], "ID"),
        (["inspect", "query_task", "x"], "a task id is a UUID, not 'x'"),
        (["control", "revoke"], "give either ids, or what to choose messages by"),
        (["control", "revoke", "01890000-0000-7000-8000-000000000000", "--tag", "a"], "give either ids, or"),
        (["control", "revoke", "--stamp", "a"], "write a stamp as HEADER=VALUE"),
        (["control", "terminate", "01890000-0000-7000-8000-000000000000", "--signal", "SIGNO"], "is no signal"),
        (["control", "rate_limit", "a.task", "often"], "'often' is no rate limit"),
        (["control", "rate_limit", "a.task"], "RATE"),
        (["control", "time_limit", "a.task", "-3"], "a time limit"),
        (["control", "pool_grow", "0"], "'0' is not a whole number from 1"),
        (["control", "autoscale", "3"], "MIN"),
        (["control", "add_consumer", "a b"], "'a b' is no name for a queue"),
        (["control", "add_consumer", "$(reboot)"], "is no name for a queue"),
        (["list", "--state", "gone"], "invalid choice: 'gone'"),
        (["list", "--limit", "all"], "'all' is not a whole number from 1"),
        (["result", "1"], "a task id is a UUID, not '1'"),
        (["call", "a.task", "--args", "{}"], "expected a JSON list"),
        (["call", "a.task", "--args", "[__import__('os')]"], "Expecting value"),
        (["call", "a.task", "--kwargs", "[]"], "expected a JSON object"),
        (["call", "a.task", "--priority", "1000"], "a priority lies between"),
        (["call", "a.task", "--queue", ""], "is no name for a queue"),
        (["call", " "], "is no name for a task"),
        (["purge", "-Q", ";"], "is no name for a queue"),
    ],
)
def test_wrong_usage_ends_with_status_2(run: Run, arguments: list[str], message: str) -> None:
    """S20: what a user types is checked, and nothing of it is evaluated."""
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert message in err


# How it looks


def test_cells_are_aligned_and_move_no_cursor() -> None:
    shown = table(("name", "n"), [("a\x1b[2J\nb", 1), ("x" * 100, None)])
    assert shown.splitlines() == [
        f"{'name'.ljust(60)}  n",
        f"{'a' + chr(92) + 'x1b[2J' + chr(92) + 'nb'}".ljust(60) + "  1",
        f"{'x' * 59}…  -",
    ]
    assert cell({"ä": 1}) == '{"ä": 1}' and cell([]) == "-"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (200_000, "2 d")]
)
def test_durations_are_said_as_people_say_them(seconds: float, text: str) -> None:
    assert ago(seconds) == text


def test_command_and_python_agree(run: Run) -> None:
    handle = add.delay(1, 2)
    assert control.revoke([handle.id]) == {handle.id: "revoked"}
    assert told(run, "list") == []


def test_queues_are_paused_and_resumed(run: Run) -> None:
    assert told(run, "pause", "mail", "audio") == {"mail": True, "audio": True}
    assert run("pause", "mail")[1].strip() == "mail: as it was"
    assert run("resume", "mail")[1].strip() == "mail: resumed"
    assert run("pause", "a b")[0] == 2
