"""Results are deleted when their time is over, a batch at a time."""

from __future__ import annotations

from datetime import timedelta

import pytest

from djtasks.broker import purge
from djtasks.broker.vendors import Vendor
from djtasks.domain.identifiers import uuid7
from djtasks.models import Message, Result, Worker
from djtasks.models.clock import Now
from tests.broker.conftest import Connect
from tests.broker.sentences import locks_rows, open_transaction, reserve_one, send


def keep(count: int, seconds: float | None) -> list[Result]:
    """Keep results whose time ends in so many seconds."""
    expires_at = None if seconds is None else Now() + timedelta(seconds=seconds)
    results = [Result(id=uuid7(), task="tests.add", state="SUCCESS", expires_at=expires_at) for _ in range(count)]
    return Result.objects.bulk_create(results)


def test_only_results_whose_time_is_over_are_deleted(vendor: Vendor) -> None:
    keep(3, -5)
    kept = {each.pk for each in keep(2, 3600) + keep(2, None)}
    assert vendor.purge_results(100) == 3
    assert set(Result.objects.values_list("pk", flat=True)) == kept
    assert vendor.purge_results(100) == 0


def test_oldest_go_first_and_no_more_than_asked(vendor: Vendor) -> None:
    newer, older = keep(3, -5), keep(2, -3600)
    assert vendor.purge_results(2) == 2
    assert {each.pk for each in newer} == set(Result.objects.values_list("pk", flat=True))
    assert older


def test_purge_goes_on_batch_by_batch_until_told_to_pause(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purge, "BATCH", 3)
    keep(10, -5)
    pauses: list[int] = []

    def pause() -> bool:
        pauses.append(Result.objects.count())
        return len(pauses) < 2

    assert purge.purge_results(vendor, pause) == 6
    assert pauses == [7, 4]
    assert purge.purge_results(vendor) == 4
    assert purge.purge_results(vendor) == 0


def test_two_purgers_share_the_work(connect: Connect) -> None:
    first, second = connect(), connect()
    keep(10, -5)
    if not locks_rows(first):
        return
    with open_transaction(first):
        assert first.purge_results(4) == 4
        assert second.purge_results(100) == 6


def test_workers_without_a_sign_of_life_have_vanished(vendor: Vendor) -> None:
    common = {"host": "h", "pid": 1, "pool": "solo", "slots": 1}
    Worker.objects.create(name="alive", **common)
    gone = Worker.objects.create(name="gone", **common)
    Worker.objects.filter(pk=gone.pk).update(seen_at=Now() - timedelta(seconds=120))
    assert [worker.name for worker in vendor.vanished_workers()] == ["gone"]


def test_what_waits_is_purged_and_what_is_held_stays(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """MON-6: also in batches."""
    monkeypatch.setattr(purge, "BATCH", 2)
    vendor = connect()
    (held,) = send(vendor, queue="mail")
    assert reserve_one(vendor).id == held
    send(vendor, 3, queue="mail")
    send(vendor, 2, queue="audio", delay=600.0)
    kept = send(vendor, 2, queue="other")
    assert purge.purge_messages(vendor, ["mail", "audio"]) == 5
    assert {str(message.pk) for message in Message.objects.all()} == {held, *kept}
    assert purge.purge_messages(vendor) == 2
    assert [str(message.pk) for message in Message.objects.all()] == [held]
