"""Our own statements in pgbench's words: ``python -m benchmarks.statements insert``, or ``work BATCH``, prints one.

It is a process of its own, since the statements are made from models, which need Django to be set up.
"""

from __future__ import annotations

import json
import re
import sys
from typing import Any

import django

# As ids are made: the time in milliseconds, and chance.
NEW_ID = """(lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0')
    || '7000' || substr(gen_random_uuid()::text, 20))::uuid"""

# What was reserved and how far the index has been read, as one row that pgbench keeps for the next time.
KEPT = r"""
SELECT COALESCE(array_agg(id), '{}') AS id, COALESCE(array_agg(deliveries), '{}') AS deliveries,
    COALESCE('{' || max(due_at) || '}', %(mark_due)s) AS mark_due
FROM reserved \gset
"""


def insert() -> tuple[str, dict[str, Any]]:
    """Send one message."""
    from djtasks.broker.vendors.postgresql_inserting import INSERT
    from djtasks.domain.messages import NewMessage

    message = NewMessage(id="", task="benchmarks.tasks.add", args="[1,2]", acks_late=False)
    return f"{INSERT.replace('%(id)s::uuid', NEW_ID)};", message._asdict() | {"announce": "true"}


def work(batch: int) -> tuple[str, dict[str, Any]]:
    """Settle a batch and reserve the next: both as one statement, which is as much as one commit can do."""
    from djtasks.broker.reserve import FIRST_ID
    from djtasks.broker.vendors import postgresql_parameters as parameters
    from djtasks.broker.vendors.postgresql_reserving import RESERVE_FROM_MARKS
    from djtasks.broker.vendors.postgresql_statements import SETTLE_SUCCESSES
    from djtasks.domain.messages import Demand, Mark, Token
    from djtasks.domain.outcomes import Settlement, Success

    reserve, _, _ = RESERVE_FROM_MARKS.strip().removeprefix("WITH").rpartition("SELECT NULL")
    successes = [Settlement(Token("", 0), Success("3"))] * batch
    demand = Demand(FIRST_ID, limit=batch, lease=30.0, marks=(Mark("queue_0", 0, 0.0, FIRST_ID),))
    values = parameters.of_successes(successes, "host", 86_400.0) | parameters.of_demand(demand)
    # At first nothing is held.
    return f"{SETTLE_SUCCESSES.rstrip()}, {reserve}{KEPT}", values | {"id": "{}", "deliveries": "{}"}


def script(statement: str, values: dict[str, Any]) -> dict[str, Any]:
    """Write a statement in pgbench's words, in which nothing is NULL but what is written so."""
    from djtasks.broker.vendors.postgresql_statements import SETTINGS

    place = re.compile(r"%\((\w+)\)s")
    text = place.sub(lambda found: "NULL" if values[found[1]] is None else f":{found[1]}", statement)
    settings = re.findall(r"\('(\w+)', '([^']+)'\)", SETTINGS)
    return {
        "text": text,
        "variables": {name: values[name] for name in set(place.findall(statement)) if values[name] is not None},
        "options": " ".join(
            f"-c {name}={value}".replace("read committed", r"read\ committed") for name, value in settings
        ),
    }


if __name__ == "__main__":
    django.setup()
    name, *numbers = sys.argv[1:]
    json.dump(script(*{"insert": insert, "work": work}[name](*map(int, numbers))), sys.stdout)
