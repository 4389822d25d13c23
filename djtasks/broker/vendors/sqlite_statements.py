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
ANY_READY = f"SELECT 1 FROM djtasks_message WHERE {_READY} LIMIT 1"

# A moment other than this statement's own was written by an earlier delivery.
RESERVE = f"""
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
    SELECT id FROM djtasks_message WHERE {_READY} ORDER BY queue, priority DESC, due_at, id LIMIT :limit
)
RETURNING {_LIST}, COALESCE(started_at <> :now, 0)
"""

_HELD = "id = :id AND deliveries = :deliveries AND leased_until IS NOT NULL"

END = f"DELETE FROM djtasks_message WHERE {_HELD} RETURNING {_LIST}"

_KEPT = (*CARRIED, "errors", "started_at", "state", "value", "hostname", "finished_at", "expires_at")
KEEP = f"""
INSERT OR REPLACE INTO djtasks_result ({", ".join(f'"{column}"' for column in _KEPT)})
VALUES ({", ".join(f":{column}" for column in _KEPT)})
"""

PUT_BACK = f"""
UPDATE djtasks_message SET
    leased_until = NULL, started_at = NULL, state = '', meta = NULL,
    retries = retries + :retry, losses = losses + :loss, errors = errors || :error,
    due_at = COALESCE(:due_at, due_at), args = COALESCE(:args, args), kwargs = COALESCE(:kwargs, kwargs),
    queue = COALESCE(:queue, queue), priority = COALESCE(:priority, priority)
WHERE {_HELD}
"""

BEGIN = f"UPDATE djtasks_message SET started_at = :now, acks_late = :late WHERE {_HELD} AND revoked_at IS NULL"
# Not "revoked_at IS NOT NULL": SQLite 3.40 returns what is true of the next column.
RENEW = f"UPDATE djtasks_message SET leased_until = :until WHERE {_HELD} RETURNING CAST(revoked_at AS TEXT)"
LIVES = "SELECT EXISTS (SELECT 1 FROM djtasks_message WHERE id = ?)"
PURGE_RESULTS = """
DELETE FROM djtasks_result
WHERE id IN (SELECT id FROM djtasks_result WHERE expires_at < ? ORDER BY expires_at LIMIT ?)
"""
