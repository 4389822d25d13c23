"""The recipe of docs/how-far-it-goes.md for results by the day does what it says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from django.db import connection

from djtasks.broker.vendors import Vendor, private_vendor
from djtasks.domain.outcomes import Failure
from djtasks.models import Dependency, Result
from tests.broker.sentences import LEASE, WORKER, ask, error, held, send, settled
from tests.lifecycle.test_outages import queue_on
from tests.servers import PostgresServer

pytestmark = pytest.mark.postgres

PAGE = Path(__file__).parents[2] / "docs" / "how-far-it-goes.md"
FAILED = Failure(error("no"))
DIVIDE, MAKE_A_DAY, TIDY_UP = re.findall(r"```sql\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.fixture
def divided(own_postgres: PostgresServer) -> Iterator[Vendor]:
    """The queue on a server of its own, with partitions for today and for tomorrow."""
    with queue_on(own_postgres), connection.cursor() as cursor:
        cursor.execute(DIVIDE)
        cursor.execute(MAKE_A_DAY.replace("now() + interval '1 day'", "now()"))
        cursor.execute(MAKE_A_DAY)
        vendor = private_vendor()
        yield vendor
        vendor.connection.close()


def test_results_can_lie_in_partitions_by_the_day(divided: Vendor) -> None:
    message, named = held(divided), held(divided, id=str(uuid4()))
    assert settled(divided, message.token, retention=0.0) and settled(divided, named.token, retention=0.0)
    # An id that is used again has the later result.
    assert settled(divided, held(divided, id=message.id).token, FAILED, retention=0.0)
    found = dict(ask(divided, "SELECT id::text, tableoid::regclass::text FROM djtasks_result"))
    assert re.fullmatch(r"djtasks_result_\d{4}_\d\d_\d\d", found[message.id])
    assert found[named.id] == "djtasks_result_others" and len(found) == 2
    assert divided.recover(WORKER, [message.token], LEASE).written == {message.token}
    assert divided.purge_results(10) == 2 and not Result.objects.exists()


def test_edges_can_go_when_their_results_are_gone(divided: Vendor) -> None:
    (living,) = send(divided)
    for message in (living, uuid4()):
        Dependency.objects.create(message=message, upstream=uuid4())
    with connection.cursor() as cursor:
        cursor.execute(TIDY_UP)
    assert [str(edge.message) for edge in Dependency.objects.all()] == [living]
