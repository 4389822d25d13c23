"""The statements of workflows, as PostgreSQL runs them best: each stands beside the one that settles what ends."""

from __future__ import annotations

from djtasks.broker.vendors.base import MESSAGES_CHANNEL
from djtasks.broker.vendors.postgresql_inserting import SOMEONE_LISTENS
from djtasks.broker.vendors.postgresql_reserving import INPUTS

# The arguments with which a message has run: what it was handed, then its own.
WITH_INPUTS = f"""
CASE WHEN m.inputs NOT IN ('value', 'list') THEN m.args
     WHEN m.args = '[]' THEN {INPUTS}
     ELSE left({INPUTS}, -1) || ',' || substr(m.args, 2) END AS args"""

# How what is gone has ended is written into the edges of those who wait for it.
RESOLVED = """
resolved AS (
    UPDATE djtasks_dependency d SET
        fate = end_fate,
        value = CASE WHEN d.position IS NOT NULL AND end_fate = 'success' THEN COALESCE(end_value, 'null') END
    FROM gone WHERE gone.feeds > 0 AND d.upstream = ANY (ARRAY[gone.id])
)"""

# What has run needs its own edges no longer.
USED = """
used AS (
    DELETE FROM djtasks_dependency d USING gone WHERE gone.inputs <> '' AND d.message = ANY (ARRAY[gone.id])
)"""

_DEPENDENTS = """
m.id = ANY (ARRAY(SELECT DISTINCT message FROM djtasks_dependency WHERE upstream = ANY (%(id)s::uuid[])))
AND m.due_at IS NULL
"""

# Of two transactions that write the last two edges neither sees the other's: so each first locks who waits, and then
# looks again, in a statement of its own. In the order of ids, so that nobody locks crosswise.
LOCK_DEPENDENTS = f"SELECT m.id FROM djtasks_message m WHERE {_DEPENDENTS} ORDER BY m.id FOR UPDATE"

# From the last edge on, since those are written last: however many there are, an open one is found at once.
UNBLOCK = f"""
WITH unblocked AS (
    UPDATE djtasks_message m SET
        due_at = GREATEST(statement_timestamp() + COALESCE(m.delay, 0) * interval '1 second', m.eta),
        expires_at = COALESCE(statement_timestamp() + m.lifetime * interval '1 second', m.expires_at)
    WHERE {_DEPENDENTS} AND NOT EXISTS (
        SELECT FROM (
            SELECT d.id FROM djtasks_dependency d WHERE d.message = m.id AND d.fate = ''
            ORDER BY d.position DESC LIMIT 1
        ) AS open
    )
    RETURNING queue
)
SELECT count(pg_notify('{MESSAGES_CHANNEL}', queue)) FROM (SELECT DISTINCT queue FROM unblocked) AS queues
WHERE {SOMEONE_LISTENS}
"""
