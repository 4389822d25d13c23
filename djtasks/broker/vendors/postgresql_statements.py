"""The statements that a message meets on its way, as PostgreSQL runs them best.

A lease is written to columns that no index holds, so that reserving is a heap-only update. ``statement_timestamp()``
is used throughout: it is the server's clock, it moves within a transaction, and an index can be searched by it.
"""

from __future__ import annotations

from djtasks.broker.vendors.base import MESSAGES_CHANNEL, RESULTS_CHANNEL, VANISHED_SECONDS
from djtasks.broker.vendors.rows import CARRIED

# Every statement here finds its rows by an index, whatever the planner believes of a table that was empty a moment
# ago; to plan one anew each time, or to compile it, costs more than to run it. The project's isolation level and the
# role's timeouts are meant for other work.
SETTINGS = """
SELECT set_config(name, value, %(local)s) FROM (VALUES
    ('jit', 'off'), ('plan_cache_mode', 'force_generic_plan'), ('enable_seqscan', 'off'), ('enable_bitmapscan', 'off'),
    ('enable_hashjoin', 'off'), ('enable_mergejoin', 'off'), ('default_transaction_isolation', 'read committed'),
    ('statement_timeout', '60s'), ('lock_timeout', '5s')
) AS setting (name, value)
"""

# The enqueuer pays for an announcement only where a worker waits for one: every NOTIFY takes a lock
# that all commits of the cluster share.
_ANNOUNCE = f"""
SELECT count(*), (
    SELECT count(pg_notify('{MESSAGES_CHANNEL}', queue)) FROM (SELECT DISTINCT queue FROM inserted) AS queues
    WHERE %(announce)s AND EXISTS (
        SELECT FROM djtasks_worker
        WHERE listening AND seen_at > statement_timestamp() - interval '{VANISHED_SECONDS} seconds'
    ) AND pg_notification_queue_usage() < 0.5
) FROM inserted
"""

_NEW_COLUMNS = """
id, task, args, kwargs, queue, priority, due_at, expires_at, acks_late, options, "group", root, parent, enqueued_at
"""

INSERT = f"""
WITH inserted AS (
    INSERT INTO djtasks_message ({_NEW_COLUMNS}) VALUES (
        %(id)s::uuid, %(task)s, %(args)s, %(kwargs)s, %(queue)s, %(priority)s,
        COALESCE(to_timestamp(%(due_at)s::float8), statement_timestamp() + %(delay)s::float8 * interval '1 second'),
        COALESCE(
            to_timestamp(%(expires_at)s::float8), statement_timestamp() + %(expires_in)s::float8 * interval '1 second'
        ),
        %(acks_late)s, %(options)s, %(group)s::uuid, %(root)s::uuid, %(parent)s::uuid, statement_timestamp()
    ) ON CONFLICT (id) DO NOTHING RETURNING queue
) {_ANNOUNCE}
"""

# All or none: to skip a few and to insert the others would be neither.
INSERT_MANY = f"""
WITH inserted AS (
    INSERT INTO djtasks_message ({_NEW_COLUMNS})
    SELECT id, task, args, kwargs, queue, priority,
        COALESCE(to_timestamp(due_at), statement_timestamp() + delay * interval '1 second'),
        COALESCE(to_timestamp(expires_at), statement_timestamp() + expires_in * interval '1 second'),
        acks_late, options, "group", root, parent, statement_timestamp()
    FROM unnest(
        %(id)s::uuid[], %(task)s::text[], %(args)s::text[], %(kwargs)s::text[], %(queue)s::text[],
        %(priority)s::int2[], %(delay)s::float8[], %(due_at)s::float8[], %(expires_in)s::float8[],
        %(expires_at)s::float8[], %(acks_late)s::bool[], %(options)s::text[], %(group)s::uuid[], %(root)s::uuid[],
        %(parent)s::uuid[]
    ) AS new (
        id, task, args, kwargs, queue, priority, delay, due_at, expires_in, expires_at, acks_late, options, "group",
        root, parent
    )
    WHERE NOT EXISTS (SELECT FROM djtasks_message WHERE id = ANY (%(id)s::uuid[]))
    RETURNING queue
) {_ANNOUNCE}
"""

# One probe for each queue and priority in use, however many messages wait in it.
_PAIRS = """
name (queue) AS (
    (SELECT queue FROM djtasks_message WHERE %(queues)s::text[] IS NULL ORDER BY queue LIMIT 1)
    UNION ALL
    SELECT (SELECT m.queue FROM djtasks_message m WHERE m.queue > name.queue ORDER BY m.queue LIMIT 1)
    FROM name WHERE name.queue IS NOT NULL
),
pair (queue, priority) AS (
    SELECT wanted.queue, top.priority
    FROM (SELECT queue FROM name UNION ALL SELECT unnest(%(queues)s::text[])) AS wanted (queue),
    LATERAL (SELECT priority FROM djtasks_message m WHERE m.queue = wanted.queue ORDER BY priority DESC LIMIT 1) AS top
    WHERE wanted.queue <> ALL (%(excluded)s::text[])
    UNION ALL
    SELECT pair.queue, next.priority
    FROM pair, LATERAL (
        SELECT priority FROM djtasks_message m
        WHERE m.queue = pair.queue AND m.priority < pair.priority ORDER BY priority DESC LIMIT 1
    ) AS next
)
"""

# Queues of one priority take turns by chance, so that a full one does not starve the others.
_FROM_START = """
(SELECT queue, priority, '-infinity'::timestamptz AS due_at, '00000000-0000-0000-0000-000000000000'::uuid AS id
 FROM pair ORDER BY priority DESC, random())
"""

_FROM_MARKS = """
(SELECT queue, priority, to_timestamp(due_at) AS due_at, id
 FROM unnest(%(mark_queues)s::text[], %(mark_priorities)s::int2[], %(mark_due)s::float8[], %(mark_ids)s::uuid[])
    AS mark (queue, priority, due_at, id)
 ORDER BY priority DESC, random())
"""

_PICKED = """
picked AS (
    SELECT ready.row_id FROM {begin} AS start, LATERAL (
        SELECT m.ctid AS row_id FROM djtasks_message m
        WHERE m.queue = start.queue AND m.priority = start.priority
            AND m.due_at <= statement_timestamp() AND (m.due_at, m.id) > (start.due_at, start.id)
            AND (m.leased_until IS NULL OR (%(lapsed)s AND m.leased_until < statement_timestamp()))
        ORDER BY m.due_at, m.id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    ) AS ready LIMIT %(limit)s
)
"""

# A moment other than this statement's own was written by an earlier delivery. date_part() because extract() is numeric.
_RESERVATION = """
id::text, deliveries, task, args, kwargs, queue, priority, date_part('epoch', due_at) AS due_at,
retries, losses, acks_late, date_part('epoch', started_at) AS started_at,
COALESCE(started_at <> statement_timestamp(), false) AS begun_before, revoked_at IS NOT NULL AS revoked,
date_part('epoch', expires_at) AS expires_at, date_part('epoch', enqueued_at) AS enqueued_at,
options, "group"::text, root::text, parent::text, date_part('epoch', statement_timestamp()) AS reserved_at
"""

# A lapsed lease leaves its trace here: a line of errors for the lost delivery, and a loss charged to the message,
# but only once to one whose body may never have begun.
_RESERVED = f"""
reserved AS (
    UPDATE djtasks_message m SET
        leased_until = statement_timestamp() + %(lease)s::float8 * interval '1 second',
        worker = %(worker)s::uuid,
        deliveries = deliveries + 1,
        losses = losses + (leased_until IS NOT NULL AND (losses = 0 OR started_at IS NOT NULL))::int,
        started_at = CASE
            WHEN leased_until IS NOT NULL THEN started_at
            WHEN %(begin)s AND NOT acks_late AND revoked_at IS NULL THEN statement_timestamp()
        END,
        errors = CASE WHEN leased_until IS NULL THEN errors ELSE errors || json_build_object(
            'kind', 'lost', 'type', 'djtasks.exceptions.WorkerLostError',
            'message', 'the lease ran out: the worker died, or was cut off from the database',
            'worker', worker, 'delivery', deliveries, 'started_at', started_at, 'failed_at', leased_until
        )::text || E'\\n' END
    WHERE m.ctid = ANY (ARRAY(SELECT row_id FROM picked))
    RETURNING {_RESERVATION}
)
"""

RESERVE_FROM_MARKS = f"""
WITH {_PICKED.format(begin=_FROM_MARKS)}, {_RESERVED}
SELECT NULL::float8 AS next_due, reserved.* FROM reserved
"""

# Always at least one row, for it also says in how many seconds the next message comes due.
RESERVE_FROM_START = f"""
WITH RECURSIVE {_PAIRS}, {_PICKED.format(begin=_FROM_START)}, {_RESERVED}
SELECT later.seconds, reserved.* FROM (
    SELECT date_part('epoch', min(next.due_at) - statement_timestamp()) AS seconds
    FROM pair, LATERAL (
        SELECT due_at FROM djtasks_message m
        WHERE m.queue = pair.queue AND m.priority = pair.priority AND m.due_at > statement_timestamp()
        ORDER BY due_at LIMIT 1
    ) AS next
) AS later LEFT JOIN reserved ON true
"""

# The join is spelled so that it can only be run as a probe of the primary key for each token, in the tokens' order:
# by "=" the planner may walk the whole index instead, for the sake of a merge join, and lock rows in any order.
_DELIVERY = "m.id = ANY (ARRAY[token.id]) AND m.deliveries = token.deliveries"
_HELD = f"{_DELIVERY} AND m.leased_until IS NOT NULL"

_CARRIED = ", ".join(f'"{column}"' for column in CARRIED)
_OWN = "errors, started_at, state, value, hostname, finished_at, expires_at"
_OVERWRITE = ", ".join(f"{column} = excluded.{column}" for column in f"{_CARRIED}, {_OWN}".split(", "))

# Of what is gone, results are kept, and those who wait are told.
_ENDED = f"""
kept AS (
    INSERT INTO djtasks_result ({_CARRIED}, {_OWN})
    SELECT {_CARRIED}, errors || end_error, COALESCE(to_timestamp(begun_at), started_at), end_state, end_value,
        %(hostname)s, statement_timestamp(), statement_timestamp() + %(retention)s::float8 * interval '1 second'
    FROM gone WHERE end_state IS NOT NULL
    ON CONFLICT (id) DO UPDATE SET {_OVERWRITE}
)
SELECT id::text, deliveries, CASE WHEN awaited THEN pg_notify('{RESULTS_CHANNEL}', id::text) END FROM gone
"""

END = f"""
WITH gone AS (
    DELETE FROM djtasks_message m USING unnest(
        %(id)s::uuid[], %(deliveries)s::int[], %(state)s::text[], %(value)s::text[], %(error)s::text[],
        %(started_at)s::float8[]
    ) AS token (id, deliveries, end_state, end_value, end_error, begun_at)
    WHERE {_HELD}
    RETURNING m.*, end_state, end_value, end_error, begun_at
), {_ENDED}
"""

PUT_BACK = f"""
UPDATE djtasks_message m SET
    leased_until = NULL, started_at = NULL, state = '', meta = NULL,
    retries = retries + token.retry, losses = losses + token.loss, errors = errors || token.error,
    due_at = COALESCE(
        to_timestamp(token.due_at), statement_timestamp() + token.delay * interval '1 second', m.due_at
    ),
    args = COALESCE(token.args, m.args), kwargs = COALESCE(token.kwargs, m.kwargs),
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
RETURNING id::text, deliveries, revoked_at IS NOT NULL
"""

STILL_HELD = f"SELECT m.id::text, m.deliveries FROM {_TOKENS} JOIN djtasks_message m ON {_HELD}"

# After an answer was lost on its way: what is leased to this worker without its knowledge, with what had begun before
# that lease was written; and what was settled.
UNKNOWN = f"""
SELECT {_RESERVATION}, COALESCE(started_at < leased_until - %(lease)s::float8 * interval '1 second', false)
FROM djtasks_message
WHERE worker = %(worker)s::uuid AND leased_until IS NOT NULL AND id <> ALL (%(id)s::uuid[])
"""
WRITTEN = f"""
SELECT r.id::text, r.deliveries FROM {_TOKENS}
JOIN djtasks_result r ON r.id = ANY (ARRAY[token.id]) AND r.deliveries = token.deliveries
UNION ALL
SELECT m.id::text, m.deliveries FROM {_TOKENS}
JOIN djtasks_message m ON {_DELIVERY} AND m.leased_until IS NULL
"""

# The mark comes first, and locks the row: then nobody can reserve or begin it while it is decided.
REVOKE = """
UPDATE djtasks_message SET revoked_at = COALESCE(revoked_at, statement_timestamp()) WHERE id = %(id)s::uuid
RETURNING id
"""
END_UNBEGUN = f"""
WITH gone AS (
    DELETE FROM djtasks_message
    WHERE id = %(id)s::uuid AND (leased_until IS NULL OR (NOT acks_late AND started_at IS NULL))
    RETURNING *, 'REVOKED' AS end_state, NULL AS end_value, %(error)s AS end_error, NULL::float8 AS begun_at
), {_ENDED}
"""

PURGE_RESULTS = """
DELETE FROM djtasks_result WHERE id = ANY (ARRAY(
    SELECT id FROM djtasks_result WHERE expires_at < statement_timestamp()
    ORDER BY expires_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)) RETURNING true
"""

AWAIT_RESULT = "UPDATE djtasks_message SET awaited = true WHERE id = %(id)s::uuid AND NOT awaited RETURNING id"
LIVES = "SELECT EXISTS (SELECT FROM djtasks_message WHERE id = %(id)s::uuid)"
