"""Queues that are paused: it is a fact of a row, and outlives every worker."""

from __future__ import annotations

import pytest

from djtasks.broker.pause import pause, paused, resume
from djtasks.broker.vendors import Vendor
from tests.broker.sentences import reserve, reserve_one, send


def test_queue_is_paused_and_resumed_once(vendor: Vendor) -> None:
    """B11: who does it again is told that nothing has changed."""
    assert paused(vendor) == {}
    assert pause("mail") and not pause("mail")
    (since,) = paused(vendor).values()
    assert list(paused(vendor)) == ["mail"] and (vendor.now() - since).total_seconds() < 60
    assert resume("mail") and not resume("mail")
    assert paused(vendor) == {} and pause("mail")


def test_queue_that_was_never_paused_cannot_be_resumed(vendor: Vendor) -> None:
    assert not resume("mail") and paused(vendor) == {}


@pytest.mark.parametrize("switch", [pause, resume])
def test_what_is_no_name_for_a_queue_is_refused(vendor: Vendor, switch: object) -> None:
    with pytest.raises(ValueError, match="no name for a queue"):
        switch("a b")  # type: ignore[operator]


@pytest.mark.parametrize("queues", [None, ("mail", "default")])
def test_excluded_queue_is_left_alone_also_where_it_is_named(vendor: Vendor, queues: tuple[str, ...] | None) -> None:
    """So workers heed pauses."""
    send(vendor, queue="mail")
    (other,) = send(vendor)
    assert reserve_one(vendor, queues=queues, excluded=("mail",)).id == other
    assert reserve(vendor, queues=queues, excluded=("mail",)) == []
    assert reserve_one(vendor, queues=queues).queue == "mail"
