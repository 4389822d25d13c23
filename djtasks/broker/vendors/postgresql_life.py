"""How workers and beats show on PostgreSQL that they live: a session holds a lock. Nothing is written for that."""

from __future__ import annotations

from collections.abc import Callable

from django.db.models import DateTimeField, F, Func
from django.db.models.functions import Greatest

from djtasks.broker.vendors.life import Life
from djtasks.broker.vendors.postgresql_session import Rows

_HOLD = "SELECT pg_try_advisory_lock(hashtextextended(%(who)s, 0))"

# A session outlives a host that has lost its power, and a process that was halted: it counts for as long as it does
# something. What others' sessions do is not for every role to see; that they are there, is.
_HELD = """(
SELECT CASE
    WHEN session.state = 'active' OR session.state_change IS NULL THEN statement_timestamp() ELSE session.state_change
END
FROM pg_locks AS held LEFT JOIN pg_stat_activity AS session ON session.pid = held.pid
WHERE held.locktype = 'advisory' AND held.objsubid = 1
    AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND held.classid::int8 << 32 | held.objid::int8 = hashtextextended(%(expressions)s::text, 0)
LIMIT 1
)"""


class PostgresqlLife(Life):
    """What PostgreSQL knows of workers and beats."""

    seen = Greatest(F("seen_at"), Func(F("id"), template=_HELD, output_field=DateTimeField()))
    _run: Callable[..., list[Rows]]
    _is_pooled: Callable[[], bool]

    def vouch_for(self, who: str) -> bool:
        # A pooler would lend the lock to others.
        return not self._is_pooled() and bool(self._run((_HOLD, {"who": who}))[0][0][0])
