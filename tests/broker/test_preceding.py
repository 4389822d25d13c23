"""What is revoked with a message, since nobody else needs it."""

from __future__ import annotations

from uuid import UUID

from djtasks.broker.enqueue import enqueue_workflow
from djtasks.broker.preceding import preceding
from djtasks.broker.vendors import Vendor
from djtasks.domain.identifiers import uuid7
from djtasks.domain.outcomes import Success
from djtasks.domain.workflows import END, FAILURE, FEEDS, FEEDS_ON_FAILURE, LIST, NOTHING, Edge
from tests.broker.sentences import send
from tests.broker.test_workflows import by_id, chain, chord, end, end_next, member, waiting


def before(*ids: str) -> list[str]:
    return [str(each) for each in preceding([UUID(each) for each in ids])]


def test_steps_of_a_chain_precede_its_last(vendor: Vendor) -> None:
    """WORK-9: those that have not ended."""
    first, second, third = chain()
    assert before(third) == [first, second] and before(second) == [first] and before(first) == []
    end_next(vendor, Success("1"))
    assert before(third) == [second] and before(third, second) == []


def test_header_precedes_its_body(vendor: Vendor) -> None:
    """WORK-9."""
    header, body = chord(5)
    assert before(body) == header
    messages = by_id(vendor)
    assert end(vendor, messages[header[2]], Success("1"))
    assert before(body) == [*header[:2], *header[3:]]


def test_what_serves_others_is_left_alone(vendor: Vendor) -> None:
    """WORK-9: with all that it waits for itself, unless the others are revoked as well."""
    first, top = member(), waiting(feeds=FEEDS)
    left, right = waiting(), waiting()
    edges = [Edge(top.id, first.id, 0), Edge(left.id, top.id, 0), Edge(right.id, top.id, 0)]
    enqueue_workflow([first, top, left, right], edges)
    assert before(left.id) == before(right.id) == []
    assert before(left.id, right.id) == [first.id, top.id] and before(top.id) == [first.id]


def test_who_only_waits_for_a_place_is_not_served(vendor: Vendor) -> None:
    """WORK-9: a limit on how many run at once binds nobody to anybody."""
    first, second = member(), member(blocked=True, inputs=NOTHING)
    body, third = waiting(inputs=LIST), member(blocked=True, inputs=NOTHING)
    edges = [Edge(body.id, first.id, 0), Edge(body.id, second.id, 1), Edge(second.id, first.id, on=END)]
    enqueue_workflow([first, second, body, third], [*edges, Edge(third.id, second.id, on=END)])
    assert before(second.id) == before(third.id) == []
    assert before(body.id) == [first.id, second.id]


def test_who_waits_for_a_failure_is_not_served(vendor: Vendor) -> None:
    """WORK-9: without it the work goes on, and it keeps nobody from ending the work."""
    work, cleaning, last = member(feeds=FEEDS_ON_FAILURE), waiting(inputs=NOTHING), waiting()
    enqueue_workflow([work, cleaning, last], [Edge(cleaning.id, work.id, on=FAILURE), Edge(last.id, work.id, 0)])
    assert before(cleaning.id) == [] and before(last.id) == [work.id]


def test_what_waits_for_nobody_is_preceded_by_nobody(vendor: Vendor) -> None:
    assert before(*send(vendor, 2), str(uuid7())) == before() == []
