"""The rows of the remote control, on every vendor (WORK-10)."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from djtasks.broker import commands
from djtasks.broker.vendors import Vendor
from djtasks.broker.vendors.base import CONTROL_CHANNEL
from djtasks.domain.identifiers import uuid7
from djtasks.models import Command
from djtasks.models.clock import Now
from djtasks.worker.mailbox import Mailbox
from tests.broker.conftest import Connect

ONE, TWO = uuid7(), uuid7()


def old(seconds: float) -> None:
    """Let all commands be so old."""
    Command.objects.update(sent_at=Now() - timedelta(seconds=seconds))


def echo(verb: str, arguments: object) -> tuple[object, bool]:
    return [verb, arguments], verb == "refuse"


def test_each_worker_reads_and_answers_its_own(connect: Connect) -> None:
    sender, worker = connect(), connect()
    first, second = commands.send(sender, [ONE, TWO], "ping", {"n": 1})
    (command,) = commands.unanswered(worker, str(ONE))
    assert (command.pk, command.verb, command.arguments) == (first, "ping", {"n": 1})
    assert commands.answered(sender, [first, second]) == []
    commands.answer(worker, first, {"ok": "pong"}, False)
    (answered,) = commands.answered(sender, [first, second])
    assert (answered.pk, answered.answer, answered.failed) == (first, {"ok": "pong"}, False)
    assert commands.unanswered(worker, str(ONE)) == []
    commands.delete(sender, [first, second])
    assert not Command.objects.exists()


def test_answer_to_nobody_is_no_error(connect: Connect) -> None:
    sender, worker = connect(), connect()
    (command,) = commands.send(sender, [ONE], "ping", {})
    commands.delete(sender, [command])
    commands.answer(worker, command, "late", False)
    assert not Command.objects.exists()


def test_old_commands_are_obeyed_no_longer_and_deleted(vendor: Vendor) -> None:
    """A worker that was stopped in its tracks does not wake up to what was said long ago."""
    commands.send(vendor, [ONE], "shutdown", {})
    old(commands.STALE_SECONDS + 1)
    assert commands.unanswered(vendor, str(ONE)) == [] and commands.purge_commands(vendor) == 0
    old(commands.KEPT_SECONDS + 1)
    commands.send(vendor, [TWO], "shutdown", {})
    assert commands.purge_commands(vendor) == 1
    assert [command.worker for command in Command.objects.all()] == [TWO]


def test_mailbox_hands_over_once_and_answers(connect: Connect) -> None:
    sender, worker = connect(), connect()
    arrivals: list[int] = []
    mailbox = Mailbox(str(ONE), lambda: arrivals.append(1))
    sent = commands.send(sender, [ONE, ONE], "echo", {}) + commands.send(sender, [ONE], "refuse", {})
    for _ in range(2):
        mailbox.expect()
        mailbox.look(worker)
    assert len(arrivals) == 1 and mailbox.is_eager
    mailbox.perform(echo)
    mailbox.perform(echo)
    mailbox.write(worker)
    rows = [(row.answer, row.failed) for row in sorted(commands.answered(sender, sent), key=lambda row: row.pk)]
    assert rows == [(["echo", {}], False), (["echo", {}], False), (["refuse", {}], True)]
    assert not mailbox.is_eager


@pytest.mark.parametrize("hears", [True, False])
def test_idle_mailbox_costs_a_reading_at_most(connect: Connect, hears: bool) -> None:
    """WORK-10: and where commands are announced, not even that."""
    worker = connect()
    mailbox = Mailbox(str(ONE))
    mailbox.look(worker, hears=hears)
    worker.connection.force_debug_cursor = True
    for _ in range(3):
        mailbox.look(worker, hears=hears)
        mailbox.write(worker)
    statements = [query["sql"] for query in worker.connection.queries_log]
    assert len(statements) == (0 if hears else 3)
    assert all(statement.startswith("SELECT") for statement in statements)


def test_listener_hears_of_a_command(connect: Connect, private: Vendor) -> None:
    if not connect().announces:
        return
    with private.listen(CONTROL_CHANNEL) as listener:
        list(listener.wait(0.0))
        began_at = time.monotonic()
        commands.send(connect(), [ONE], "ping", {})
        assert [heard.channel for heard in listener.wait(10.0)] == [CONTROL_CHANNEL]
        assert time.monotonic() - began_at < 5
