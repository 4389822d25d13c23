"""What the remote control asks of a worker and does to it, without processes of their own (WORK-10)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from djtasks import shared_task
from djtasks.tasks import registry
from djtasks.worker import verbs
from djtasks.worker.plan import Plan
from djtasks.worker.supervisor import Supervisor
from tests.helpers import Diary, reservation, wait_until
from tests.tasks import add, hold, note

TOKENLESS = "00000000-0000-0000-0000-000000000009"


def supervisor(**given: Any) -> Supervisor:
    return Supervisor(Plan(**{"hostname": "one@test", "pool": "solo", "slots": 1, **given}))


@pytest.fixture
def worker() -> Iterator[Supervisor]:
    made = supervisor()
    yield made
    made.pool.close()


def told(worker: Supervisor, verb: Any, **arguments: Any) -> Any:
    answer, failed = verbs.perform(worker, verb, arguments)
    assert not failed, answer
    return answer


def refused(worker: Supervisor, verb: Any, arguments: Any) -> str:
    answer, failed = verbs.perform(worker, verb, arguments)
    assert failed
    return str(answer)


def test_idle_worker_has_nothing_to_tell(worker: Supervisor) -> None:
    assert told(worker, "ping") == {"ok": "pong"}
    assert told(worker, "active") == told(worker, "reserved") == told(worker, "held") == []
    assert told(worker, "query_task", ids=[TOKENLESS]) == {}


def test_what_waits_is_reserved(worker: Supervisor) -> None:
    message = reservation(add, 2, 3, priority=7)
    worker.lanes.main.holdings.accept(message)
    (facts,) = told(worker, "reserved")
    assert (facts["id"], facts["name"], facts["args"], facts["priority"]) == (message.id, add.name, "[2, 3]", 7)
    assert told(worker, "held") == [message.id]
    assert told(worker, "query_task", ids=[message.id, TOKENLESS]) == {message.id: ["reserved", facts]}


def test_what_runs_is_active(diary: Diary) -> None:
    worker = supervisor(pool="processes")
    message = reservation(hold, diary.path, "body", diary.gate, started_at=1.0)
    try:
        worker.pool.start()
        wait_until(lambda: worker.pool.wait(0.05) or worker.pool.idle())
        worker.lanes.main.holdings.accept(message)
        worker.lanes.main.holdings.hand_over(worker.pool, 1)
        pid = diary.until("body")
        (facts,) = told(worker, "active")
        assert (facts["id"], facts["worker_pid"], facts["acknowledged"]) == (message.id, pid, True)
        assert 0 <= facts["seconds"] < 60 and told(worker, "reserved") == []
        assert told(worker, "stats")["active"] == 1 and told(worker, "query_task", ids=[message.id])
    finally:
        worker.pool.close()


def test_long_arguments_are_clipped_and_move_no_cursor(worker: Supervisor) -> None:
    worker.lanes.main.holdings.accept(reservation(note, "x" * 10_000))
    (facts,) = told(worker, "reserved")
    assert len(facts["args"]) <= 1024


def test_sensitive_arguments_are_masked(worker: Supervisor) -> None:
    """S10."""
    log_in = shared_task(name="tests.log_in", sensitive=["password"])(lambda user, password: None)
    worker.lanes.main.holdings.accept(reservation(log_in, "me", "hunter2"))
    worker.lanes.main.holdings.accept(reservation("nobody.knows", "hunter2", options='{"sensitive": true}'))
    facts = told(worker, "reserved")
    registry.forget(log_in.name)
    assert "hunter2" not in json.dumps(facts) and facts[0]["args"] == "['me', '********']"


def test_spoilt_arguments_are_shown_as_they_stand(worker: Supervisor) -> None:
    message = reservation(add)._replace(args="{", kwargs="\0", options="[")
    worker.lanes.main.holdings.accept(message)
    (facts,) = told(worker, "reserved")
    assert (facts["args"], facts["kwargs"]) == ("{", "\\x00")


def test_tasks_are_named_with_the_options_that_were_asked_for(worker: Supervisor) -> None:
    assert add.name in told(worker, "registered")
    shown = told(worker, "registered", attributes=["acks_late", "max_retries"])
    assert f"{add.name} [acks_late=False max_retries=3]" in shown
    assert "no task has an option 'run'" in refused(worker, "registered", {"attributes": ["run"]})


def test_measures(worker: Supervisor) -> None:
    worker.lanes.main.ledger.totals["a.task"] += 2
    stats = told(worker, "stats")
    assert stats["total"] == {"a.task": 2} and stats["pid"] == os.getpid() and stats["uptime"] >= 0
    assert stats["pool"]["max-concurrency"] == 1 and stats["memory"][str(os.getpid())] > 1000


def test_settings_are_shown_without_secrets(worker: Supervisor, settings: Any) -> None:
    """S10: the names say what is one."""
    settings.DJTASKS = {"LEASE_SECONDS": 17}
    shown = told(worker, "conf")
    assert shown["LEASE_SECONDS"] == 17 and shown["WORKER_POOL"] == "processes"
    json.dumps(shown)
    assert told(worker, "report")["conf"] == shown


@pytest.mark.parametrize(
    ("given", "queues", "excluded"),
    [({"queues": ("mail",)}, [{"name": "mail"}], None), ({"excluded": ("mail",)}, [{"name": "*"}], ["mail"])],
)
def test_queues_follow_what_is_served(given: Any, queues: Any, excluded: Any) -> None:
    """ROUTE-3: and the worker's row follows, too."""
    worker = supervisor(**given)
    (facts,) = told(worker, "active_queues")
    assert (facts["name"], facts.get("excluded")) == (queues[0]["name"], excluded)
    assert told(worker, "add_consumer", queue="audio")["ok"] in (
        "add consumer audio",
        "already consuming from 'audio'",
    )
    assert told(worker, "cancel_consumer", queue="audio") == {"ok": "no longer consuming from audio"}
    assert told(worker, "cancel_consumer", queue="audio") == {"ok": "was not consuming from 'audio'"}
    assert worker.heartbeat.presence.row["queues"] == worker.intake.subscription.columns()["queues"]
    assert worker.heartbeat.presence.row["excluded"] == worker.intake.subscription.columns()["excluded"]
    worker.pool.close()


def test_limits_change(worker: Supervisor) -> None:
    """WORK-3: refused is what the task could not be declared with."""
    assert told(worker, "time_limit", task_name=add.name, soft=1, hard=2) == {"ok": "time limits set"}
    assert "has to come first" in refused(worker, "time_limit", {"task_name": add.name, "soft": 3, "hard": 2})
    assert "no task is named" in refused(worker, "time_limit", {"task_name": "nobody.knows", "soft": 3})


def test_shutdown_asks_for_a_warm_end(worker: Supervisor) -> None:
    """WORK-6."""
    assert told(worker, "shutdown") == {"ok": "shutting down"}
    assert worker.shutdown.proceed()


@pytest.mark.parametrize(
    ("verb", "arguments", "text"),
    [
        ("pnig", {}, "there is no command 'pnig'; did you mean 'ping'?"),
        ("_call", {}, "there is no command '_call'; there are active"),
        ("", {}, "there is no command ''"),
        (None, {}, "there is no command None"),
        ("ping", [], "ping takes a dict of arguments, not []"),
        ("ping", "{", "ping takes a dict of arguments, not '{'"),
        ("ping", {"x": 1}, "ping cannot be called like this: got an unexpected keyword argument 'x'"),
        ("query_task", {"ids": "x"}, "query_task takes a list of ids"),
        ("pool_grow", {"n": 0}, "expected a whole number from 1, not 0"),
        ("pool_grow", {"n": True}, "expected a whole number from 1, not True"),
        ("pool_grow", {"n": 10**9}, "a pool has from 1 to 10000 slots"),
        ("pool_shrink", {}, "a pool has from 1 to 10000 slots, not 0"),
        ("autoscale", {"max": 1, "min": 2}, "the larger number first"),
        ("autoscale", {"max": 2, "min": 1}, "this worker has no autoscaling"),
        ("add_consumer", {"queue": "a b"}, "'a b' is no name for a queue"),
        ("cancel_consumer", {"queue": 7}, "7 is no name for a queue"),
        ("rate_limit", {"task_name": "tests.tasks.add", "rate_limit": "often"}, "'often' is no rate limit"),
        ("rate_limit", {"task_name": [], "rate_limit": 1}, ""),
    ],
)
def test_wrong_command_is_refused_with_a_reason(worker: Supervisor, verb: Any, arguments: Any, text: str) -> None:
    """WORK-10, S20: whatever a row says."""
    assert text in refused(worker, verb, arguments)


def test_verb_that_fails_in_a_way_that_nobody_thought_of_answers_with_its_error(worker: Supervisor) -> None:
    del worker.heartbeat
    assert refused(worker, "stats", {}) == "AttributeError: 'Supervisor' object has no attribute 'heartbeat'"
    assert told(worker, "ping") == {"ok": "pong"}


def test_answer_that_is_too_large_is_an_error(worker: Supervisor, settings: Any) -> None:
    settings.DJTASKS = {"MAX_PAYLOAD_BYTES": 10}
    assert "MAX_PAYLOAD_BYTES allows 10" in refused(worker, "registered", {})
