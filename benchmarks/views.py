"""A request that writes a row and may send a message, in one transaction, as a shop takes an order."""

from __future__ import annotations

import uuid

import django
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path
from django.utils import timezone

from benchmarks.calling import Caller

callers: list[Caller] = []


def prepare(caller: Caller) -> None:
    """Set up Django, where that is not done yet, and say who is to send."""
    django.setup()
    callers[:] = [caller]


def answer(messages: str) -> None:
    """Send a request through all that Django has in its way."""
    answered = Client().get(f"/order/{messages}")
    if answered.status_code != 200:
        raise RuntimeError(f"the request was answered with {answered.status_code}")


@transaction.atomic
def order(request: HttpRequest, messages: str) -> HttpResponse:
    """Write a row; send a message if told so."""
    from django.contrib.sessions.models import Session

    Session.objects.create(session_key=uuid.uuid4().hex, session_data="", expire_date=timezone.now())
    if messages == "one":
        callers[0].send_with_request("add", 1, 2)
    return HttpResponse("thank you")


urlpatterns = [path("order/<str:messages>", order)]
