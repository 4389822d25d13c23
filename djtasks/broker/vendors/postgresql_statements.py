"""The statements that a message meets on its way, as PostgreSQL runs them best.

A lease is written to columns that no index holds, so that reserving is a heap-only update. ``statement_timestamp()``
is used throughout: it is the server's clock, it moves within a transaction, and an index can be searched by it.
"""

from __future__ import annotations

from djtasks.broker.vendors.base import MESSAGES_CHANNEL, RESULTS_CHANNEL

# Every statement here finds its rows by an index, whatever the planner believes of a table that was empty a moment
# ago; to plan one anew each time, or to compile it, costs more than to run it.
SESSION = """
SELECT set_config(name, value, false) FROM (VALUES
    ('jit', 'off'), ('plan_cache_mode', 'force_generic_plan'),
    ('enable_seqscan', 'off'), ('enable_hashjoin', 'off'), ('enable_mergejoin', 'off')
) AS setting (name, value)
"""

# The enqueuer pays for an announcement only where a worker waits for one: every NOTIFY takes a lock
# that all commits of the cluster share.
_ANNOUNCE = f"""
SELECT count(*), (
    SELECT count(pg_notify('{MESSAGES_CHANNEL}', queue)) FROM (SELECT DISTINCT queue FROM inserted) AS queues
    WHERE %(announce)s AND EXISTS (
        SELECT FROM djtasks_worker WHERE listening AND seen_at > statement_timestamp() - interval '90 seconds'
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
        COALESCE(to_timestamp(%(expires_at)s::float8), statement_timestamp() + %(expires_in)s::float8 * interval '1 second'),
        %(acks_late)s, %(options)s, %(group)s::uuid, %(root)s::uuid, %(parent)s::uuid, statement_timestamp()
    ) ON CONFLICT (id) DO NOTHING RETURNING queue
) {_ANNOUNCE}
"""

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
    ON CONFLICT (id) DO NOTHING RETURNING queue
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
    FROM (
        SELECT unnest(%(queues)s::text[]) AS queue
        UNION ALL
        SELECT queue FROM name WHERE queue <> ALL (%(excluded)s::text[])
    ) AS wanted,
    LATERAL (SELECT priority FROM djtasks_message m WHERE m.queue = wanted.queue ORDER BY priority DESC LIMIT 1) AS top
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

_RESERVATION = """
id::text, deliveries, task, args, kwargs, queue, priority, extract(epoch FROM due_at)::float8 AS due_at,
retries, losses, acks_late, extract(epoch FROM started_at)::float8 AS started_at,
COALESCE(started_at < statement_timestamp(), false) AS begun_before, revoked_at IS NOT NULL AS revoked,
extract(epoch FROM expires_at)::float8 AS expires_at, extract(epoch FROM enqueued_at)::float8 AS enqueued_at,
options, "group"::text, root::text, parent::text, extract(epoch FROM statement_timestamp())::float8 AS reserved_at
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
    SELECT extract(epoch FROM min(next.due_at) - statement_timestamp())::float8 AS seconds
    FROM pair, LATERAL (
        SELECT due_at FROM djtasks_message m
        WHERE m.queue = pair.queue AND m.priority = pair.priority AND m.due_at > statement_timestamp()
        ORDER BY due_at LIMIT 1
    ) AS next
) AS later LEFT JOIN reserved ON true
"""

END = f"""
WITH ending AS (
    SELECT * FROM unnest(
        %(id)s::uuid[], %(deliveries)s::int[], %(state)s::text[], %(value)s::text[], %(error)s::text[],
        %(started_at)s::float8[]
    ) AS ending (id, deliveries, state, value, error, started_at)
),
gone AS (
    DELETE FROM djtasks_message m USING ending
    WHERE m.id = ending.id AND m.deliveries = ending.deliveries AND m.leased_until IS NOT NULL
    RETURNING m.*, ending.state AS end_state, ending.value AS end_value, ending.error AS end_error,
        ending.started_at AS begun_at
),
kept AS (
    INSERT INTO djtasks_result (
        id, task, args, kwargs, queue, priority, retries, deliveries, losses, options, errors, worker, "group", root,
        parent, enqueued_at, due_at, started_at, state, value, hostname, finished_at, expires_at
    )
    SELECT id, task, args, kwargs, queue, priority, retries, deliveries, losses, options, errors || end_error, worker,
        "group", root, parent, enqueued_at, due_at, COALESCE(to_timestamp(begun_at), started_at), end_state, end_value,
        %(hostname)s, statement_timestamp(), statement_timestamp() + %(retention)s::float8 * interval '1 second'
    FROM gone WHERE end_state IS NOT NULL
    ON CONFLICT (id) DO UPDATE SET
        task = excluded.task, args = excluded.args, kwargs = excluded.kwargs, queue = excluded.queue,
        priority = excluded.priority, retries = excluded.retries, deliveries = excluded.deliveries,
        losses = excluded.losses, options = excluded.options, errors = excluded.errors, worker = excluded.worker,
        "group" = excluded."group", root = excluded.root, parent = excluded.parent,
        enqueued_at = excluded.enqueued_at, due_at = excluded.due_at, started_at = excluded.started_at,
        state = excluded.state, value = excluded.value, hostname = excluded.hostname,
        finished_at = excluded.finished_at, expires_at = excluded.expires_at
)
SELECT id::text, deliveries, CASE WHEN awaited THEN pg_notify('{RESULTS_CHANNEL}', id::text) END FROM gone
"""

PUT_BACK = """
UPDATE djtasks_message m SET
    leased_until = NULL, started_at = NULL, state = '', meta = NULL,
    retries = retries + back.retry, losses = losses + back.loss, errors = errors || back.error,
    due_at = COALESCE(
        to_timestamp(back.due_at), statement_timestamp() + back.delay * interval '1 second', m.due_at
    ),
    args = COALESCE(back.args, m.args), kwargs = COALESCE(back.kwargs, m.kwargs),
    queue = COALESCE(back.queue, m.queue), priority = COALESCE(back.priority, m.priority)
FROM unnest(
    %(id)s::uuid[], %(deliveries)s::int[], %(retry)s::int[], %(loss)s::int[], %(error)s::text[], %(delay)s::float8[],
    %(due_at)s::float8[], %(args)s::text[], %(kwargs)s::text[], %(queue)s::text[], %(priority)s::int2[]
) AS back (id, deliveries, retry, loss, error, delay, due_at, args, kwargs, queue, priority)
WHERE m.id = back.id AND m.deliveries = back.deliveries AND m.leased_until IS NOT NULL
RETURNING m.id::text, m.deliveries
"""

BEGIN = """
UPDATE djtasks_message m SET started_at = statement_timestamp(), acks_late = beginning.late
FROM unnest(%(id)s::uuid[], %(deliveries)s::int[], %(late)s::bool[]) AS beginning (id, deliveries, late)
WHERE m.id = beginning.id AND m.deliveries = beginning.deliveries AND m.leased_until IS NOT NULL
    AND m.revoked_at IS NULL
RETURNING m.id::text, m.deliveries
"""

# A row that is locked is being settled right now: it needs no renewal, and waiting for it could deadlock.
RENEW = """
WITH held AS (
    SELECT m.ctid AS row_id FROM djtasks_message m
    JOIN unnest(%(id)s::uuid[], %(deliveries)s::int[]) AS token (id, deliveries)
        ON m.id = token.id AND m.deliveries = token.deliveries
    WHERE m.leased_until IS NOT NULL ORDER BY m.id FOR UPDATE OF m SKIP LOCKED
)
UPDATE djtasks_message SET leased_until = statement_timestamp() + %(lease)s::float8 * interval '1 second'
WHERE ctid = ANY (ARRAY(SELECT row_id FROM held))
RETURNING id::text, deliveries, revoked_at IS NOT NULL
"""

STILL_HELD = """
SELECT m.id::text, m.deliveries FROM djtasks_message m
JOIN unnest(%(id)s::uuid[], %(deliveries)s::int[]) AS token (id, deliveries)
    ON m.id = token.id AND m.deliveries = token.deliveries
"""

# After an answer was lost on its way: what is leased to this worker without its knowledge, and what was written.
ADOPT = f"""
WITH mine AS (
    SELECT ctid AS row_id, leased_until - %(lease)s::float8 * interval '1 second' AS leased_at FROM djtasks_message
    WHERE worker = %(worker)s::uuid AND leased_until IS NOT NULL AND id <> ALL (%(id)s::uuid[]) FOR UPDATE
)
UPDATE djtasks_message SET leased_until = statement_timestamp() + %(lease)s::float8 * interval '1 second'
FROM mine WHERE djtasks_message.ctid = mine.row_id
RETURNING {_RESERVATION}, COALESCE(started_at < leased_at, false) AS begun_by_another
"""
WRITTEN = """
SELECT token.id::text, token.deliveries FROM unnest(%(id)s::uuid[], %(deliveries)s::int[]) AS token (id, deliveries)
WHERE EXISTS (SELECT FROM djtasks_result r WHERE r.id = token.id AND r.deliveries = token.deliveries)
    OR EXISTS (
        SELECT FROM djtasks_message m
        WHERE m.id = token.id AND m.deliveries = token.deliveries AND m.leased_until IS NULL
    )
"""

PURGE_RESULTS = """
DELETE FROM djtasks_result WHERE id = ANY (ARRAY(
    SELECT id FROM djtasks_result WHERE expires_at < statement_timestamp()
    ORDER BY expires_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
))
"""

AWAIT_RESULT = "UPDATE djtasks_message SET awaited = true WHERE id = %(id)s::uuid AND NOT awaited"
LIVES = "SELECT EXISTS (SELECT FROM djtasks_message WHERE id = %(id)s::uuid)"
