"""Messages that an operator edits while somebody holds them: B12."""

from __future__ import annotations

from djtasks.broker.vendors import Vendor
from djtasks.domain.outcomes import Released, Retry
from djtasks.models import Message
from tests.broker.sentences import LEASE, begun, held, let_leases_lapse, reserve, reserve_one, result, row, settled


def edit(message_id: str, queue: str = "edited", priority: int = 50) -> None:
    Message.objects.filter(pk=message_id).update(queue=queue, priority=priority)


def test_delivery_under_way_is_not_disturbed(vendor: Vendor) -> None:
    """B12: it keeps its lease, begins, is renewed and is settled."""
    message = held(vendor)
    edit(message.id)
    assert reserve(vendor) == []
    assert vendor.renew([message.token], LEASE) == {message.token}
    assert begun(vendor, message.token)
    assert settled(vendor, message.token)
    kept = result(message.id)
    assert kept and kept.state == "SUCCESS"


def test_next_delivery_is_as_it_was_edited(vendor: Vendor) -> None:
    """B12: after a release, a retry that says nothing else, and a lost lease."""
    released, retried, lapsed = (held(vendor) for _ in range(3))
    for message in (released, retried, lapsed):
        edit(message.id)
    assert settled(vendor, released.token, Released())
    assert settled(vendor, retried.token, Retry("{}"))
    let_leases_lapse(lapsed.id)
    assert reserve(vendor, queues=("default",)) == []
    again = reserve(vendor, queues=("edited",))
    assert {message.id for message in again} == {released.id, retried.id, lapsed.id}
    assert {(message.queue, message.priority, message.deliveries) for message in again} == {("edited", 50, 2)}


def test_retry_that_names_a_queue_has_the_last_word(vendor: Vendor) -> None:
    """B12."""
    message = held(vendor)
    edit(message.id)
    assert settled(vendor, message.token, Retry("{}", queue="named"))
    assert (row(message.id).queue, row(message.id).priority) == ("named", 50)
    assert reserve_one(vendor, queues=("named",)).id == message.id
