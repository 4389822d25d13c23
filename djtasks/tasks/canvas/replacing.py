"""How a body puts others in its place, and lets the chord in which it runs grow (CANV-12, CANV-13)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import connections
from django.db.models import Max

from djtasks.broker.vendors import shared_vendor
from djtasks.conf import settings
from djtasks.domain.messages import NewMessage
from djtasks.domain.signatures import CHAIN, CHORD, CHUNKS, GATHER, GROUP, Call, Data, joined, kind_of, plain
from djtasks.domain.workflows import FEEDS, OF_BODIES, Edge
from djtasks.exceptions import ImproperlyConfigured, Replaced
from djtasks.models import Dependency, Message, Result
from djtasks.tasks.canvas.draft import Draft
from djtasks.tasks.canvas.laying import Layout
from djtasks.tasks.canvas.placing import Place
from djtasks.tasks.sending import insert_workflow

if TYPE_CHECKING:
    from djtasks.tasks.context import Request


def replacement(request: Request, signature: Mapping[str, Any]) -> Replaced:
    """Lay out what is to take the place of a run; raise ImproperlyConfigured for what cannot."""
    sent: Any = Draft.from_dict(signature)
    if request.id is None or request.called_directly:
        raise ImproperlyConfigured("only a task that a worker runs can be replaced: nobody waits for this call")
    if kind_of(sent) == CHAIN and not sent.tasks:
        raise ImproperlyConfigured("a task cannot be replaced by an empty chain: nothing would take its place")
    if sent.options.get("group_id"):
        raise ImproperlyConfigured("a task cannot be replaced by the member of another group")
    if request.stamps:
        sent = sent.clone().stamp(**request.stamps)
    layout = Layout()
    call = Call((), {}, {"task_id": request.id})
    messages = [_with_errbacks(message, request) for message in layout.messages(_with_one_end(sent), call)]
    messages.sort(key=lambda message: message.id != request.id)
    return Replaced([list(message) for message in messages], [list(edge) for edge in layout.edges])


def add_to_chord(request: Request, signature: Mapping[str, Any]) -> Any:
    """Send one more member of the chord in which this run is, whose body then waits for it as well."""
    edges = Dependency.objects.using(settings.DATABASE)
    with shared_vendor().atomic():
        body = _locked_body(request)
        if body is None:
            raise ValueError(f"{request.task} is in no chord to which a member could be added")
        layout, place = Layout(), Place(group=request.group, feeds=FEEDS)
        messages = list(layout.messages(_with_one_end(Draft.from_dict(signature)), place=place))
        last = edges.filter(message=body).aggregate(last=Max("position"))["last"]
        layout.edges.append(Edge(str(body), str(layout.handle), None if last is None else last + 1))
        insert_workflow(messages, layout.edges, layout.chosen)
    return layout.handle


def _locked_body(request: Request) -> UUID | None:
    """Find the body that waits for a run, and lock it, so that no two members take the same place.

    It may have ended, since another member has failed: it can still be taken up again, then with all its members.
    """
    edges = Dependency.objects.using(settings.DATABASE).filter(upstream=request.id) if request.id else ()
    for edge in edges:
        for table in (Message, Result):
            rows: Any = table.objects.using(settings.DATABASE).filter(pk=edge.message, inputs__in=OF_BODIES)
            if connections[settings.DATABASE].features.has_select_for_update:
                rows = rows.select_for_update()
            if rows.values_list("pk").first():
                return edge.message
    return None


def _with_one_end(signature: Data) -> Data:
    """Have the values of a group, where it ends in one, be those of one message that stands for it."""
    if not _ends_in_group(signature):
        return signature
    gather, on_headers = plain(GATHER, (), {}, {}), settings.TASK_ALLOW_ERROR_CB_ON_CHORD_HEADER
    return joined(signature, gather, errbacks_on_headers=on_headers)


def _ends_in_group(signature: Data) -> bool:
    kind, kwargs = kind_of(signature), signature["kwargs"]
    if kind == CHAIN:
        return _ends_in_group(list(kwargs["tasks"])[-1])
    if kind == CHORD:
        return _ends_in_group(kwargs["body"])
    return kind in (GROUP, CHUNKS)


def _with_errbacks(message: NewMessage, request: Request) -> NewMessage:
    """Keep the errbacks of the run that is replaced with each of those that may fail instead."""
    inherited = request.options.get("link_error")
    if not inherited:
        return message
    options: dict[str, Any] = json.loads(message.options)
    own = options.get("link_error")
    options["link_error"] = [*(own if isinstance(own, list) else ()), *inherited]
    return message._replace(options=json.dumps(options))
