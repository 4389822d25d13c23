"""The statements that a message meets on its way, as SQLite runs them best.

Each write is one statement, or stands behind BEGIN IMMEDIATE: a transaction that first reads and then writes fails
at once when another writer came between, whatever its timeout.
"""

from __future__ import annotations

from django.db.models import DateTimeField

from djtasks.broker.vendors.rows import CARRIED
from djtasks.models import Message

COLUMNS = tuple(str(field.column) for field in Message._meta.concrete_fields)
RESERVED_COLUMNS = (*COLUMNS, "begun_before")
# A cast keeps the driver from making datetimes of moments that are written back as they were read.
_LIST = ", ".join(
    f'CAST("{field.column}" AS TEXT)' if isinstance(field, DateTimeField) else f'"{field.column}"'
    for field in Message._meta.concrete_fields
)

BEGIN_IMMEDIATE = "BEGIN IMMEDIATE"
COMMIT = "COMMIT"
ROLLBACK = "ROLLBACK"
DATA_VERSION = "PRAGMA data_version"

NEXT_QUEUE = "SELECT queue FROM djtasks_message WHERE queue > ? ORDER BY queue LIMIT 1"
NEXT_PRIORITY = """
SELECT priority FROM djtasks_message WHERE queue = ? AND priority < ? ORDER BY queue, priority DESC LIMIT 1
"""
NEXT_DUE = """
SELECT CAST(due_at AS TEXT) FROM djtasks_message WHERE queue = ? AND priority = ? AND due_at > ?
ORDER BY queue, priority DESC, due_at LIMIT 1
"""

_READY = """
queue = :queue AND priority = :priority AND due_at <= :now
AND (leased_until IS NULL OR (:lapsed AND leased_until < :now))
"""
# Where messages of some tasks are left where they are, what was read before is not read again, either.
_CHOSEN = f"""{_READY} AND due_at >= :from_due AND (due_at > :from_due OR id > :from_id)
AND (:only = '[]' OR task IN (SELECT value FROM json_each(:only)))
AND task NOT IN (SELECT value FROM json_each(:without))
"""
ANY_READY = f"SELECT 1 FROM djtasks_message WHERE {_READY} LIMIT 1"
ANY_CHOSEN = f"SELECT 1 FROM djtasks_message WHERE {_CHOSEN} LIMIT 1"
OLDEST_CHOSEN = f"""
SELECT CAST(due_at AS TEXT) FROM djtasks_message WHERE {_CHOSEN} ORDER BY queue, priority DESC, due_at LIMIT 1
"""

# A moment other than this statement's own was written by an earlier delivery.
_LEASE = """
UPDATE djtasks_message SET
    leased_until = :until,
    worker = :worker,
    deliveries = deliveries + 1,
    losses = losses + (leased_until IS NOT NULL AND (losses = 0 OR started_at IS NOT NULL)),
    started_at = CASE
        WHEN leased_until IS NOT NULL THEN started_at
        WHEN :begin AND acks_late = 0 AND revoked_at IS NULL THEN :now
    END,
    errors = CASE WHEN leased_until IS NULL THEN errors ELSE errors || json_object(
        'kind', 'lost', 'type', 'djtasks.exceptions.WorkerLostError',
        'message', 'the lease ran out: the worker died, or was cut off from the database',
        'worker', worker, 'delivery', deliveries, 'started_at', started_at, 'failed_at', leased_until
    ) || char(10) END
WHERE id IN (
    SELECT id FROM djtasks_message WHERE {ready} ORDER BY queue, priority DESC, due_at, id LIMIT :limit
)
RETURNING {columns}, COALESCE(started_at <> :now, 0)
"""
RESERVE = _LEASE.format(ready=_READY, columns=_LIST)
RESERVE_CHOSEN = _LEASE.format(ready=_CHOSEN, columns=_LIST)

_HELD = "id = :id AND deliveries = :deliveries AND leased_until IS NOT NULL"

END = f"DELETE FROM djtasks_message WHERE {_HELD} RETURNING {_LIST}"

# What is left out here stands as the table's own defaults say.
_NEW = (
    *("id", "task", "args", "kwargs", "queue", "priority", "due_at", "expires_at", "acks_late", "options"),
    *("group", "root", "parent", "inputs", "feeds", "delay", "eta", "lifetime", "enqueued_at"),
)
INSERT = f"""
INSERT INTO djtasks_message ({", ".join(f'"{column}"' for column in _NEW)})
VALUES ({", ".join(f"%({column})s" for column in _NEW)})
"""

_KEPT = (*CARRIED, "errors", "started_at", "state", "value", "hostname", "finished_at", "expires_at")
KEEP = f"""
INSERT OR REPLACE INTO djtasks_result ({", ".join(f'"{column}"' for column in _KEPT)})
VALUES ({", ".join(f":{column}" for column in _KEPT)})
"""

PUT_BACK = f"""
UPDATE djtasks_message SET
    leased_until = NULL, started_at = NULL, state = '', meta = NULL,
    retries = retries + :retry, losses = losses + :loss, errors = errors || :error,
    due_at = CASE WHEN revoked_at IS NULL THEN COALESCE(:due_at, due_at) ELSE due_at END,
    args = COALESCE(:args, args), kwargs = COALESCE(:kwargs, kwargs),
    inputs = CASE WHEN :args IS NULL OR inputs = '' THEN inputs ELSE 'nothing' END,
    queue = COALESCE(:queue, queue), priority = COALESCE(:priority, priority)
WHERE {_HELD}
"""

BEGIN = f"UPDATE djtasks_message SET started_at = :now, acks_late = :late WHERE {_HELD} AND revoked_at IS NULL"
RENEW = f"UPDATE djtasks_message SET leased_until = :until WHERE {_HELD}"
NOTE = f"UPDATE djtasks_message SET meta = :meta WHERE {_HELD}"
LIVING = "SELECT id FROM djtasks_message WHERE id IN (SELECT value FROM json_each(?))"
_EXPIRED = "SELECT id FROM djtasks_result WHERE expires_at < :now ORDER BY expires_at LIMIT :limit"
PURGE_EDGES = f"DELETE FROM djtasks_dependency WHERE message IN ({_EXPIRED})"
PURGE_RESULTS = f"DELETE FROM djtasks_result WHERE id IN ({_EXPIRED})"

# Workflows: how what is gone has ended is written into the edges of those who wait for it. Of these, the open edge is
# looked for from the last one on, since those are written last.
RESOLVE = """
UPDATE djtasks_dependency SET fate = :fate, value = CASE WHEN position IS NULL THEN NULL ELSE :value END
WHERE upstream = :id
"""
DEPENDENTS = f"""
SELECT {_LIST} FROM djtasks_message m
WHERE id IN (SELECT message FROM djtasks_dependency WHERE upstream = :id) AND due_at IS NULL AND NOT EXISTS (
    SELECT 1 FROM djtasks_dependency d WHERE d.message = m.id AND d.fate = '' ORDER BY d.position DESC LIMIT 1
)
"""
UNBLOCK = "UPDATE djtasks_message SET due_at = :due_at, expires_at = :expires_at WHERE id = :id"
INPUTS = "SELECT value FROM djtasks_dependency WHERE message = ? AND position IS NOT NULL ORDER BY position"
USED = "DELETE FROM djtasks_dependency WHERE message = ?"
