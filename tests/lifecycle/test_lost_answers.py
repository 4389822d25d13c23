"""Commits whose answers are lost or late on their way: A9, C3, F16."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import DatabaseError, connections

from djtasks.domain.identifiers import uuid7
from tests.helpers import Diary, all_settled, drain, leased, messages, results, running_worker, wait_until, why
from tests.lifecycle.proxy import FaultProxy
from tests.tasks import add, note, note_hooked, note_late

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]


@pytest.fixture
def proxy() -> Iterator[FaultProxy]:
    with FaultProxy(os.environ["DATABASE_URL"]) as made:
        yield made


def test_lost_answers_lose_and_double_nothing(diary: Diary, proxy: FaultProxy) -> None:
    """C3, F16: what was reserved is adopted, what was settled is known; the lease is too long for anything else."""
    tasks = [note, note_late, note_hooked]
    handles = [task.delay(diary.path, f"{task.name} {number}") for number in range(30) for task in tasks]
    with running_worker(url=proxy.url, LEASE_SECONDS=300) as worker:
        wait_until(lambda: results().count() >= 10)
        proxy.losing = 0.08
        found = all_settled(handles)
        proxy.losing = 0
        assert worker.stop() == 0
    assert proxy.cuts >= 3
    assert {result.state for result in found} == {"SUCCESS"}
    counts = diary.counts()
    assert {word: count for word, count in counts.items() if count != 1} == {}
    # Hooks run when the end is recorded; a lost answer does not hide that it was.
    assert len([word for word in counts if word.endswith("on_success")]) == 30


def test_cut_requests_lose_nothing(diary: Diary, proxy: FaultProxy) -> None:
    """C3, G3: a transaction may still be on its way when its worker asks what became of it."""
    handles = [task.delay(diary.path, task.name) for _ in range(100) for task in (note, note_late)]
    with running_worker(url=proxy.url, LEASE_SECONDS=2) as worker:
        wait_until(lambda: results().count() >= 10)
        proxy.cutting = proxy.losing = 0.03
        found = all_settled(handles)
        proxy.cutting = proxy.losing = 0
        assert worker.stop() == 0
    late = [result for result in found if result.task == note_late.name]
    early = [result for result in found if result.task == note.name]
    assert {result.state for result in late} == {"SUCCESS"}
    assert {why(result) for result in early if result.state != "SUCCESS"} <= {"WorkerLostError"}
    succeeded = [result for result in early if result.state == "SUCCESS"]
    assert len(succeeded) <= diary.counts()[note.name] <= len(early)


def test_signals_while_commits_are_on_their_way(diary: Diary, proxy: FaultProxy) -> None:
    """A9: a signal interrupts no commit; nothing stays leased, nothing runs twice, the exit status is 0."""
    proxy.holding = 0.1
    handles = []
    for number in range(30):
        handles += [note.delay(diary.path, f"early {number}"), note_late.delay(diary.path, f"late {number}")]
    for _ in range(2):
        before = results().count()
        with running_worker(concurrency=1, url=proxy.url, LEASE_SECONDS=60) as worker:
            wait_until(lambda before=before: results().count() > before or not messages().exists())
            time.sleep(random.uniform(0, 0.5))
            assert worker.stop() == 0
        assert leased() == 0
    drain("--pool=solo")
    assert {result.state for result in all_settled(handles)} == {"SUCCESS"}
    assert set(diary.counts().values()) == {1}


def test_enqueue_without_an_answer_is_repeated_by_its_id(proxy: FaultProxy) -> None:
    """C3, G10: the caller hears of it, and asks again for the same message."""
    own = connections["default"].settings_dict
    before = dict(own)
    address = psycopg.conninfo.conninfo_to_dict(proxy.url)
    connections["default"].close()
    own.update(HOST=address["host"], PORT=address["port"])
    try:
        ids = []
        messages().count()
        proxy.losing = 0.3
        for _ in range(30):
            ids.append(str(uuid7()))
            repeat(lambda: add.apply_async((1, 2), task_id=ids[-1], exist_ok=True))
    finally:
        proxy.losing = 0
        connections["default"].close()
        own.clear()
        own.update(before)
    assert proxy.cuts >= 3
    assert sorted(str(id) for id in messages().values_list("id", flat=True)) == sorted(ids)


def repeat(call: Any) -> None:
    while True:
        try:
            call()
            return
        except DatabaseError:
            connections["default"].close()
