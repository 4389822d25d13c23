"""The statements that insert messages, as PostgreSQL runs them best, and whom they wake."""

from __future__ import annotations

from functools import lru_cache

from djtasks.broker.vendors.base import MESSAGES_CHANNEL

# The enqueuer pays for an announcement only where a worker waits for one: every NOTIFY takes a lock
# that all commits of the cluster share.
_LISTENERS = "djtasks_worker WHERE listening"
_MAY_ANNOUNCE = "%(announce)s AND pg_notification_queue_usage() < 0.5"
SOMEONE_LISTENS = f"{_MAY_ANNOUNCE} AND EXISTS (SELECT FROM {_LISTENERS})"

# One message wakes two of the workers that wait, not all of them: each would ask for it, and but one can have it. Two,
# since one may have been filled, or have died, a moment ago; the others look by themselves as they always do.
_CALL_TWO = f"""
SELECT pg_notify(
    '{MESSAGES_CHANNEL}', djtasks_message.queue || ' ' || ids[1 + turn] || ' ' || ids[1 + mod(turn + 1, many)]
) FROM (
    SELECT array_agg(id::text) AS ids, count(*)::int AS many, floor(random() * count(*))::int AS turn
    FROM {_LISTENERS} AND (queues IS NULL OR position('"' || djtasks_message.queue || '"' IN queues) > 0)
        AND position('"' || djtasks_message.queue || '"' IN excluded) = 0
) AS called WHERE many > 0
"""

_NEW_COLUMNS = """
id, task, args, kwargs, queue, priority, due_at, expires_at, acks_late, options, "group", root, parent, enqueued_at
"""

_INSERT = f"""
INSERT INTO djtasks_message ({_NEW_COLUMNS}) VALUES (
    %(id)s::uuid, %(task)s, %(args)s, %(kwargs)s, %(queue)s, %(priority)s::int2,
    COALESCE(to_timestamp(%(due_at)s::float8), statement_timestamp() + %(delay)s::float8 * interval '1 second'),
    COALESCE(
        to_timestamp(%(expires_at)s::float8), statement_timestamp() + %(expires_in)s::float8 * interval '1 second'
    ),
    %(acks_late)s::bool, %(options)s, %(group)s::uuid, %(root)s::uuid, %(parent)s::uuid, statement_timestamp()
) ON CONFLICT (id) DO NOTHING
RETURNING 1, pg_backend_pid(), CASE WHEN
"""

# To choose costs some ten microseconds even where there is nobody to be chosen: it is for who has found somebody.
INSERT = f"{_INSERT} {SOMEONE_LISTENS} THEN pg_notify('{MESSAGES_CHANNEL}', queue) END, enqueued_at"
INSERT_AND_CHOOSE = f"{_INSERT} {_MAY_ANNOUNCE} THEN ({_CALL_TWO}) END, enqueued_at"

_DUE_AT = "COALESCE(to_timestamp(due_at), statement_timestamp() + delay * interval '1 second')"
_EXPIRES_AT = "COALESCE(to_timestamp(expires_at), statement_timestamp() + expires_in * interval '1 second')"

_TYPES = {
    **{"id": "uuid", "task": "text", "args": "text", "kwargs": "text", "queue": "text", "priority": "int2"},
    **{"delay": "float8", "due_at": "float8", "expires_in": "float8", "expires_at": "float8", "acks_late": "bool"},
    **{"options": "text", "group": "uuid", "root": "uuid", "parent": "uuid"},
    **{"inputs": "text", "feeds": "int2", "blocked": "bool"},
}

# All or none: to skip a few and to insert the others would be neither.
# What a blocked message says of its time counts once it is blocked no longer.
_INSERT_MANY = f"""
WITH inserted AS (
    INSERT INTO djtasks_message ({_NEW_COLUMNS}, inputs, feeds, delay, eta, lifetime)
    SELECT id, task, args, kwargs, queue, priority,
        CASE WHEN NOT blocked THEN {_DUE_AT} END,
        CASE WHEN blocked THEN to_timestamp(expires_at) ELSE {_EXPIRES_AT} END,
        acks_late, options, "group", root, parent, statement_timestamp(), inputs, feeds,
        CASE WHEN blocked THEN delay END, CASE WHEN blocked THEN to_timestamp(due_at) END,
        CASE WHEN blocked THEN expires_in END
    FROM unnest({{arrays}}) AS differing ({{names}}), (SELECT {{same}}) AS same
    WHERE NOT EXISTS (
        SELECT FROM unnest(%(chosen)s::uuid[]) AS chosen (id)
        CROSS JOIN LATERAL (SELECT FROM djtasks_message AS taken WHERE taken.id = chosen.id LIMIT 1) AS found
    )
    RETURNING queue, due_at
)
SELECT count(*), pg_backend_pid(), (
    SELECT count(pg_notify('{MESSAGES_CHANNEL}', queue))
    FROM (SELECT DISTINCT queue FROM inserted WHERE due_at IS NOT NULL) AS queues WHERE {SOMEONE_LISTENS}
), statement_timestamp() FROM inserted
"""


@lru_cache(maxsize=64)
def insert_many(differing: tuple[str, ...]) -> str:
    """Give the statement that inserts many messages, whose other columns are all the same and are sent but once."""
    same = [f'%({name})s::{kind} AS "{name}"' for name, kind in _TYPES.items() if name not in differing]
    return _INSERT_MANY.format(
        arrays=", ".join(f"%({name})s::{_TYPES[name]}[]" for name in differing),
        names=", ".join(f'"{name}"' for name in differing),
        same=", ".join(same),
    )


INSERT_EDGES = """
INSERT INTO djtasks_dependency (message, upstream, position, "on")
SELECT * FROM unnest(%(message)s::uuid[], %(upstream)s::uuid[], %(position)s::int[], %(on)s::text[])
RETURNING true
"""
