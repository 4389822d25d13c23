"""The statements that a message meets on its way, as PostgreSQL runs them best.

A lease is written to columns that no index holds, so that reserving is a heap-only update. ``statement_timestamp()``
is used throughout: it is the server's clock, it moves within a transaction, and an index can be searched by it.
"""

from __future__ import annotations

from djtasks.broker.vendors.base import CONTROL_CHANNEL, RESULTS_CHANNEL
from djtasks.broker.vendors.postgresql_reserving import RESERVATION
from djtasks.broker.vendors.postgresql_workflows import RESOLVED, USED, WITH_INPUTS
from djtasks.broker.vendors.rows import CARRIED
from djtasks.domain import states
from djtasks.domain.workflows import SUCCESS

# Every statement here finds its rows by an index, whatever the planner believes of a table that was empty a moment
# ago; to plan one anew each time, or to compile it, costs more than to run it. The project's isolation level and the
# role's timeouts are meant for other work.
#
# What another process than the one we have connected to answers for lies behind a pooler, which may give the session to
# others after each transaction: there they hold for this one only.
SETTINGS = """
SELECT set_config(name, value, %(local)s OR COALESCE(pg_backend_pid() <> %(pid)s::int, false)), pg_backend_pid()
FROM (VALUES
    ('jit', 'off'), ('plan_cache_mode', 'force_generic_plan'), ('enable_seqscan', 'off'), ('enable_bitmapscan', 'off'),
    ('enable_hashjoin', 'off'), ('enable_mergejoin', 'off'), ('default_transaction_isolation', 'read committed'),
    ('statement_timeout', '60s'), ('lock_timeout', '5s')
) AS setting (name, value)
"""

LIMIT_IDLING = "SELECT set_config('idle_in_transaction_session_timeout', %(milliseconds)s::text, true)"

# The join is spelled so that it can only be run as a probe of the primary key for each token, in the tokens' order:
# by "=" the planner may walk the whole index instead, for the sake of a merge join, and lock rows in any order.
_DELIVERY = "m.id = ANY (ARRAY[token.id]) AND m.deliveries = token.deliveries"
_HELD = f"{_DELIVERY} AND m.leased_until IS NOT NULL"

_CARRIED = ", ".join(f'"{column}"' for column in CARRIED)
_CARRIED_WITH_INPUTS = _CARRIED.replace('"args"', WITH_INPUTS).replace('"inputs"', "'' AS inputs")
_OWN = "errors, started_at, state, value, hostname, finished_at, expires_at"
_OVERWRITE = ", ".join(f"{column} = excluded.{column}" for column in f"{_CARRIED}, {_OWN}".split(", "))

# Of what is gone, results are kept.
_KEPT = f"""
{RESOLVED}, kept AS (
    INSERT INTO djtasks_result ({_CARRIED}, {_OWN})
    SELECT {{carried}}, errors || end_error, COALESCE(begun_at, started_at), end_state, end_value,
        %(hostname)s, statement_timestamp(), statement_timestamp() + %(retention)s::float8 * interval '1 second'
    FROM gone m WHERE end_state IS NOT NULL{{anew}}
)
"""
_ANEW = f"""
    ON CONFLICT (id) DO UPDATE SET {_OVERWRITE}"""

# Those who wait are told.
_TOLD = f"CASE WHEN awaited THEN pg_notify('{RESULTS_CHANNEL}', id::text)::text END"

_SETTLE = f"""
WITH gone AS (
    DELETE FROM djtasks_message m USING unnest(
        %(id)s::uuid[], %(deliveries)s::int[], %(value)s::text[], %(started_at)s::int8[]{{arrays}}
    ) AS token (id, deliveries, end_value, begun_at{{columns}})
    WHERE {_HELD}
    RETURNING m.*, end_value, to_timestamp(begun_at / 1e6::float8) AS begun_at{{ended}}
), {USED}, {_KEPT.replace("{carried}", _CARRIED_WITH_INPUTS)}
"""
SETTLE = _SETTLE.format(
    arrays=", %(state)s::text[], %(error)s::text[], %(fate)s::text[]",
    columns=", end_state, end_error, end_fate",
    ended=", end_state, end_error, end_fate",
    anew=_ANEW,
)

# Most end so, and none of them has a result yet: to be ready for one would take a lock and a record of WAL for each.
SETTLE_SUCCESSES = _SETTLE.format(
    arrays="",
    columns="",
    ended=f", '{states.SUCCESS}' AS end_state, '' AS end_error, '{SUCCESS}' AS end_fate",
    anew="",
)

# Where all are gone, as nearly always, it is enough to say how many: names cost their sender and their reader.
_ENDED = f"""
SELECT NULL::int8 AS count, id::text, deliveries, {_TOLD} FROM gone
WHERE awaited OR (SELECT count(*) FROM gone) < cardinality(%(id)s::uuid[])
UNION ALL
SELECT count(*), NULL, NULL, NULL FROM gone
"""
END = SETTLE + _ENDED
END_SUCCESSES = SETTLE_SUCCESSES + _ENDED

PUT_BACK = f"""
UPDATE djtasks_message m SET
    leased_until = NULL, started_at = NULL, state = '', meta = NULL,
    retries = retries + token.retry, losses = losses + token.loss, errors = errors || token.error,
    due_at = CASE WHEN m.revoked_at IS NOT NULL THEN m.due_at ELSE COALESCE(
        to_timestamp(token.due_at), statement_timestamp() + token.delay * interval '1 second', m.due_at
    ) END,
    args = COALESCE(token.args, m.args), kwargs = COALESCE(token.kwargs, m.kwargs),
    inputs = CASE WHEN token.args IS NULL OR m.inputs = '' THEN m.inputs ELSE 'nothing' END,
    queue = COALESCE(token.queue, m.queue), priority = COALESCE(token.priority, m.priority)
FROM unnest(
    %(id)s::uuid[], %(deliveries)s::int[], %(retry)s::int[], %(loss)s::int[], %(error)s::text[], %(delay)s::float8[],
    %(due_at)s::float8[], %(args)s::text[], %(kwargs)s::text[], %(queue)s::text[], %(priority)s::int2[]
) AS token (id, deliveries, retry, loss, error, delay, due_at, args, kwargs, queue, priority)
WHERE {_HELD}
RETURNING m.id::text, m.deliveries
"""

BEGIN = f"""
UPDATE djtasks_message m SET started_at = statement_timestamp(), acks_late = token.late
FROM unnest(%(id)s::uuid[], %(deliveries)s::int[], %(late)s::bool[]) AS token (id, deliveries, late)
WHERE {_HELD} AND m.revoked_at IS NULL
RETURNING m.id::text, m.deliveries
"""

_TOKENS = "unnest(%(id)s::uuid[], %(deliveries)s::int[]) AS token (id, deliveries)"

# A row that is locked is being settled right now: it needs no renewal, and waiting for it could deadlock.
RENEW = f"""
WITH held AS (
    SELECT m.ctid AS row_id FROM {_TOKENS} JOIN djtasks_message m ON {_HELD} FOR UPDATE OF m SKIP LOCKED
)
UPDATE djtasks_message SET leased_until = statement_timestamp() + %(lease)s::float8 * interval '1 second'
WHERE ctid = ANY (ARRAY(SELECT row_id FROM held))
RETURNING id::text, deliveries
"""

STILL_HELD = f"SELECT m.id::text, m.deliveries FROM {_TOKENS} JOIN djtasks_message m ON {_HELD}"
REVOKED = f"""
SELECT m.id::text, m.deliveries, m.terminate
FROM {_TOKENS} JOIN djtasks_message m ON {_HELD} AND m.revoked_at IS NOT NULL
"""

NOTE = f"""
WITH held AS (
    SELECT m.id, token.meta FROM unnest(%(id)s::uuid[], %(deliveries)s::int[], %(meta)s::text[])
        AS token (id, deliveries, meta)
    JOIN djtasks_message m ON {_HELD} FOR UPDATE OF m SKIP LOCKED
)
UPDATE djtasks_message m SET meta = held.meta FROM held WHERE m.id = ANY (ARRAY[held.id])
RETURNING m.id::text, m.deliveries
"""

# After an answer was lost on its way: what is leased to this worker without its knowledge, and what was settled.
UNKNOWN = f"""
SELECT {RESERVATION}, errors FROM djtasks_message m
WHERE worker = %(worker)s::uuid AND leased_until IS NOT NULL AND id <> ALL (%(id)s::uuid[])
"""
WRITTEN = f"""
SELECT r.id::text, r.deliveries FROM {_TOKENS}
JOIN djtasks_result r ON r.id = ANY (ARRAY[token.id]) AND r.deliveries = token.deliveries
UNION ALL
SELECT m.id::text, m.deliveries FROM {_TOKENS}
JOIN djtasks_message m ON {_DELIVERY} AND m.leased_until IS NULL
"""

# The mark comes first, and locks the row: then nobody can reserve or begin it while it is decided. Its holder is told.
REVOKE = f"""
UPDATE djtasks_message SET
    revoked_at = COALESCE(revoked_at, statement_timestamp()), terminate = COALESCE(NULLIF(%(terminate)s, ''), terminate)
WHERE id = %(id)s::uuid
RETURNING id, CASE WHEN %(announce)s AND started_at IS NOT NULL AND pg_notification_queue_usage() < 0.5
    THEN pg_notify('{CONTROL_CHANNEL}', worker::text) END
"""
END_UNBEGUN = f"""
WITH gone AS (
    DELETE FROM djtasks_message
    WHERE id = %(id)s::uuid AND (leased_until IS NULL OR (NOT acks_late AND started_at IS NULL))
    RETURNING *, 'REVOKED' AS end_state, NULL AS end_value, %(error)s AS end_error, NULL::timestamptz AS begun_at,
        'revoked' AS end_fate
), {_KEPT.format(carried=_CARRIED, anew=_ANEW)}
SELECT id, {_TOLD} FROM gone
"""

END_BLOCKED = f"""
WITH gone AS (
    DELETE FROM djtasks_message WHERE id = ANY (%(id)s::uuid[]) AND due_at IS NULL
    RETURNING *, %(state)s::text AS end_state, NULL AS end_value, %(error)s AS end_error, NULL::timestamptz AS begun_at,
        %(fate)s AS end_fate
), {_KEPT.format(carried=_CARRIED, anew=_ANEW)}
SELECT id, {_TOLD} FROM gone
"""

PURGE_RESULTS = f"""
WITH gone AS (
    DELETE FROM djtasks_result WHERE id = ANY (ARRAY(
        SELECT id FROM djtasks_result WHERE expires_at < statement_timestamp()
        ORDER BY expires_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    )) RETURNING id, inputs
), {USED}
SELECT true FROM gone
"""

# To wait for a row while holding others could deadlock.
AWAIT_RESULT = """
UPDATE djtasks_message SET awaited = true WHERE id = ANY (%(id)s::uuid[]) AND NOT awaited RETURNING id
"""
AWAIT_RESULTS = """
WITH free AS (
    SELECT ctid AS row_id FROM djtasks_message WHERE id = ANY (%(id)s::uuid[]) AND NOT awaited FOR UPDATE SKIP LOCKED
)
UPDATE djtasks_message SET awaited = true WHERE ctid = ANY (ARRAY(SELECT row_id FROM free)) RETURNING id
"""
ANSWERS = "SELECT pg_backend_pid()"
LIVING = """
SELECT m.id::text FROM unnest(%(id)s::uuid[]) AS asked (id)
CROSS JOIN LATERAL (SELECT id FROM djtasks_message WHERE id = asked.id LIMIT 1) m
"""
ANNOUNCE = "SELECT pg_notify(%(channel)s, payload) FROM unnest(%(payloads)s::text[]) AS told (payload)"
