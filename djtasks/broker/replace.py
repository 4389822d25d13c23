"""Put other messages in the place of one whose body asked for it (CANV-12)."""

from __future__ import annotations

from django.db.models import SmallIntegerField, Value
from django.db.models.functions import Greatest

from djtasks.broker.vendors import Vendor
from djtasks.broker.vendors.rows import message_of
from djtasks.domain.messages import NewMessage, Token
from djtasks.domain.outcomes import Replaced
from djtasks.domain.workflows import Edge
from djtasks.models import Dependency, Message

TAKEN_OVER = (
    *("task", "args", "kwargs", "queue", "priority", "options", "acks_late"),
    *("inputs", "due_at", "delay", "eta", "expires_at", "lifetime"),
)


def replace(vendor: Vendor, token: Token, outcome: Replaced) -> None:
    """Let a message that was just given back become the last of others, in the transaction that is open.

    It keeps its id, its place in its workflow and all who wait for it, and begins anew: its retries are counted from
    zero.
    """
    first, *others = (NewMessage(*fields) for fields in outcome.messages)
    row = message_of(first, vendor.now())
    changes = {name: getattr(row, name) for name in TAKEN_OVER}
    changes["feeds"] = Greatest("feeds", Value(first.feeds, SmallIntegerField()))
    Dependency.objects.using(vendor.alias).filter(message=token.id).delete()
    Message.objects.using(vendor.alias).filter(pk=token.id).update(retries=0, losses=0, **changes)
    vendor.insert_workflow(others, [Edge(*fields) for fields in outcome.edges])
