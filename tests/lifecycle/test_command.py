"""The command line of ``runworker``: WORK-12, ROUTE-3, H of the interface."""

from __future__ import annotations

import os
import re

import pytest
from django.core.management import execute_from_command_line

from djtasks import __version__
from djtasks.models import Worker
from tests.helpers import (
    Diary,
    all_settled,
    drain,
    each_pool,
    messages,
    on_one_database,
    running_worker,
    settled,
    wait_until,
)
from tests.tasks import add, fail_twice, note

pytestmark = pytest.mark.django_db(transaction=True)


@each_pool
def test_burst_ends_when_nothing_is_ready(diary: Diary, pool: str) -> None:
    handles = [note.delay(diary.path, "now") for _ in range(30)] + [fail_twice.delay()]
    later = note.apply_async((diary.path, "later"), countdown=600)
    drain(f"--pool={pool}")
    assert {result.state for result in all_settled(handles)} == {"SUCCESS"}
    assert [str(message.pk) for message in messages()] == [later.id]


@on_one_database
def test_burst_of_an_empty_queue_ends() -> None:
    drain("--pool=solo")


@on_one_database
def test_banner_says_what_is_started() -> None:
    with running_worker("-Q", "mail,audio", "-n", "one@%h", concurrency=3) as worker:
        worker.logs("tests.tasks.add_late")
        row = wait_until(Worker.objects.first)
        assert (row.pid, row.slots, row.pool, row.queues) == (worker.pid, 3, "processes", ["mail", "audio"])
        assert worker.stop() == 0
    banner = worker.log
    for part in (
        rf"djtasks {re.escape(__version__)} worker one@",
        rf"\(pid {worker.pid}\)",
        r"queues +mail, audio\n",
        r"pool +processes, 3 at a time",
        r"tests\.tasks\.add\n",
    ):
        assert re.search(part, banner), part


@pytest.mark.parametrize(
    ("arguments", "served"),
    [
        (["-Q", "mail"], {"mail"}),
        (["--queues=mail,audio"], {"mail", "audio"}),
        (["--exclude-queues=mail,audio"], {"default"}),
    ],
)
@on_one_database
def test_worker_serves_its_queues(diary: Diary, arguments: list[str], served: set[str]) -> None:
    """ROUTE-3."""
    for queue in ("mail", "audio", "default"):
        note.apply_async((diary.path, queue), queue=queue)
    drain("--pool=solo", *arguments)
    assert set(diary.counts()) == served


@on_one_database
def test_settings_say_what_the_command_line_does_not(diary: Diary) -> None:
    note.apply_async((diary.path, "mail"), queue="mail")
    note.apply_async((diary.path, "audio"), queue="audio")
    worker = drain(concurrency=None, WORKER_POOL="solo", WORKER_QUEUES=["mail"])
    assert set(diary.counts()) == {"mail"} and re.search("pool +solo", worker.log)
    drain("-P", "threads", "-Q", "audio", WORKER_POOL="solo", WORKER_QUEUES=["mail"])
    assert set(diary.counts()) == {"mail", "audio"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-c", "0"], "'0' is not a whole number from 1"),
        (["-c", "two"], "'two' is not a whole number from 1"),
        (["--autoscale", "2,5"], "the most slots (2) are at least as many as the least (5)"),
        (["--autoscale", "some"], "'some' is not a whole number from 1"),
        (["--autoscale", "4,2", "-P", "solo"], "the solo pool cannot grow"),
        (["--autoscale", "4,2", "-c", "3"], "give either --autoscale or --concurrency, not both"),
        (["--pool-for", "media"], "there is no pool ''"),
        (["--pool-for", "media=threads"], "'threads' does not say how many slots, as threads:8 does"),
        (["--pool-for", "media=solo:1"], "the solo pool cannot run beside another"),
        (["--pool-for", "media=threads:2", "-P", "solo"], "the solo pool cannot run beside another"),
        (["--pool-for", "media=threads:2", "-Q", "mail"], "'media', which is not among the queues"),
        (["--pool-for", "media=threads:2", "-Q", "media"], "every queue has a pool of its own"),
        (["--pool-for", "media=threads:2", "--pool-for", "media=threads:3"], "names 'media' twice"),
        (["-P", "gevent"], "there is no pool 'gevent'; there are processes, threads, eventloop, solo"),
        (["-Q", ""], "name at least one queue"),
        (["-Q", ","], "name at least one queue"),
        (["-Q", "a b"], "a b"),
        (["-Q", "x" * 300], "queue"),
        (["-Q", "a", "-X", "b"], "give either --queues or --exclude-queues, not both"),
        (["--grace", "-1"], "'-1' is not a number of seconds"),
        (["--grace", "nan"], "'nan' is not a number of seconds"),
        (["-l", "loud"], "loud"),
        (["--max-tasks-per-child", "0"], "'0' is not a whole number from 1"),
        (["--max-memory-per-child", "much"], "'much' is not a whole number from 1"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
    ],
)
def test_wrong_usage_ends_with_status_2(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    with pytest.raises(SystemExit) as ended:
        execute_from_command_line(["manage.py", "runworker", *arguments])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


@on_one_database
def test_wrong_setting_ends_it_with_a_sentence() -> None:
    with running_worker(WORKER_POOL="gevent") as worker:
        assert worker.wait() == 1
    assert "DJTASKS['WORKER_POOL'] = 'gevent': expected one of 'processes', 'threads'" in worker.log


def test_tables_that_are_not_there_end_it_with_a_sentence(tmp_path: os.PathLike[str]) -> None:
    """E12."""
    with running_worker(url=f"sqlite:///{tmp_path}/empty.sqlite3") as worker:
        assert worker.wait() == 1
    assert "run manage.py migrate first" in worker.log and "Traceback" not in worker.log


@on_one_database
def test_prefork_is_another_name_of_processes() -> None:
    handle = add.delay(1, 2)
    worker = drain("--pool=prefork", concurrency=1)
    assert settled(handle).value == 3 and re.search("pool +processes", worker.log)
