"""What the errors of a database mean to the queue."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar

from django.db import DatabaseError, DataError, IntegrityError

from djtasks.domain.messages import NewMessage
from djtasks.exceptions import AlreadyEnqueued

Codes = frozenset[str | int]


class Errors:
    """One database's errors, told apart by the codes that its driver gives them."""

    transient_codes: ClassVar[Codes] = frozenset()
    taken_codes: ClassVar[Codes] = frozenset()

    def is_transient(self, error: DatabaseError) -> bool:
        """Say whether the same transaction may succeed if it is simply run again."""
        return code_of(error) in self.transient_codes

    def is_refusal(self, error: DatabaseError) -> bool:
        """Say whether the error speaks of the values sent; for every other no outcome is to blame."""
        return isinstance(error, (DataError, IntegrityError))

    @contextmanager
    def taken_refused(self, messages: Sequence[NewMessage]) -> Iterator[None]:
        """Turn the error that speaks of a key that is there already into one of ours: messages have but one key."""
        try:
            yield
        except IntegrityError as error:
            if code_of(error) not in self.taken_codes:
                raise
            raise already_enqueued(messages) from error


def already_enqueued(messages: Sequence[NewMessage]) -> AlreadyEnqueued:
    """Make the error for ids of which at least one is taken."""
    ids = ", ".join(message.id for message in messages[:3])
    return AlreadyEnqueued(f"a message with this task_id waits or runs already: {ids}; see exist_ok=True")


def code_of(error: DatabaseError) -> str | int | None:
    """Return the driver's code of an error: a SQLSTATE, or a number."""
    cause = error.__cause__
    code = getattr(cause, "sqlstate", None) or getattr(cause, "sqlite_errorcode", None)
    return code or (cause.args[0] if cause is not None and cause.args else None)


@contextmanager
def unencodable_refused() -> Iterator[None]:
    """Turn the only refusal that drivers do not raise as an error of the database into one."""
    try:
        yield
    except UnicodeEncodeError as error:
        raise DataError(f"a text cannot be encoded: {error}") from error
