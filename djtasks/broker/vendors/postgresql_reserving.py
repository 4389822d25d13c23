"""The statements that reserve, as PostgreSQL runs them best: one probe for each queue and priority, then in order."""

from __future__ import annotations

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
            AND (m.leased_until IS NULL OR (%(lapsed)s AND m.leased_until < statement_timestamp())){chosen}
        ORDER BY m.due_at, m.id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    ) AS ready LIMIT %(limit)s
)
"""

# What goes before a message's own arguments, as a JSON array: the value of its upstream, or a list of all values.
INPUTS = """(
    SELECT CASE inputs WHEN 'list' THEN '[[' ELSE '[' END
        || COALESCE(string_agg(COALESCE(d.value, 'null'), ',' ORDER BY d.position), '')
        || CASE inputs WHEN 'list' THEN ']]' ELSE ']' END
    FROM djtasks_dependency d WHERE d.message = m.id AND d.position IS NOT NULL
)"""

# A moment other than this statement's own was written by an earlier delivery. date_part() because extract() is numeric.
RESERVATION = f"""
id::text, deliveries, task, args, kwargs, queue, priority, date_part('epoch', due_at) AS due_at,
retries, losses, acks_late, date_part('epoch', started_at) AS started_at,
COALESCE(started_at <> statement_timestamp(), false) AS begun_before, revoked_at IS NOT NULL AS revoked,
date_part('epoch', expires_at) AS expires_at, date_part('epoch', enqueued_at) AS enqueued_at,
options, "group"::text, root::text, parent::text, date_part('epoch', statement_timestamp()) AS reserved_at, feeds,
CASE WHEN inputs IN ('value', 'list') THEN {INPUTS} END AS handed
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
    RETURNING {RESERVATION}
)
"""

RESERVE_FROM_MARKS = f"""
WITH {_PICKED.format(begin=_FROM_MARKS, chosen="")}, {_RESERVED}
SELECT NULL::float8 AS next_due, reserved.* FROM reserved
"""

# In how many seconds the next message comes due.
_LATER = """
(SELECT date_part('epoch', min(next.due_at) - statement_timestamp()) AS seconds
 FROM pair, LATERAL (
     SELECT due_at FROM djtasks_message m
     WHERE m.queue = pair.queue AND m.priority = pair.priority AND m.due_at > statement_timestamp()
     ORDER BY due_at LIMIT 1
 ) AS next)
"""

# Always at least one row, for the sake of what it says beside the reservations.
RESERVE_FROM_START = f"""
WITH RECURSIVE {_PAIRS}, {_PICKED.format(begin=_FROM_START, chosen="")}, {_RESERVED}
SELECT later.seconds, reserved.* FROM {_LATER} AS later LEFT JOIN reserved ON true
"""

# Where messages of some tasks are left where they are, or those that have waited too long go first: a statement of its
# own, so that nobody else pays for it.
_CHOSEN = """
            AND (%(only)s::text[] IS NULL OR m.task = ANY (%(only)s::text[])) AND m.task <> ALL (%(without)s::text[])"""

_READY = f"""
SELECT m.due_at FROM djtasks_message m
WHERE m.queue = pair.queue AND m.priority = pair.priority
    AND m.due_at <= statement_timestamp() - %(ageing)s::float8 * interval '1 second'
    AND (m.leased_until IS NULL OR (%(lapsed)s AND m.leased_until < statement_timestamp())){_CHOSEN}
ORDER BY m.due_at LIMIT 1
"""

# Those that have waited too long take turns by age: were it by priority, they could wait for ever.
_FROM_MARKS_OR_START = f"""
(SELECT pair.queue, pair.priority,
    COALESCE(to_timestamp(mark.due_at), to_timestamp(%(since)s::float8), '-infinity'::timestamptz) AS due_at,
    COALESCE(mark.id, '00000000-0000-0000-0000-000000000000'::uuid) AS id
 FROM pair LEFT JOIN unnest(%(mark_queues)s::text[], %(mark_priorities)s::int2[], %(mark_due)s::float8[],
    %(mark_ids)s::uuid[]) AS mark (queue, priority, due_at, id)
    ON mark.queue = pair.queue AND mark.priority = pair.priority
 ORDER BY ({_READY}), pair.priority DESC, random())
"""

RESERVE_CHOSEN = f"""
WITH RECURSIVE {_PAIRS}, {_PICKED.format(begin=_FROM_MARKS_OR_START, chosen=_CHOSEN)}, {_RESERVED}
SELECT later.seconds, reserved.*, date_part('epoch', statement_timestamp())
FROM {_LATER} AS later LEFT JOIN reserved ON true
"""

IS_READY = f"""
WITH RECURSIVE {_PAIRS} SELECT EXISTS (SELECT FROM pair, LATERAL ({_READY}) AS ready)
"""
