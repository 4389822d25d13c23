"""The message as it is sent, as it is held and as it is asked for; plain values that cross tables and pipes."""

from __future__ import annotations

from typing import NamedTuple

DUE_NOW = 0.0


class NewMessage(NamedTuple):
    """A message that is about to be enqueued; moments are seconds since the epoch, payloads JSON text."""

    id: str
    task: str
    args: str = "[]"
    kwargs: str = "{}"
    queue: str = "default"
    priority: int = 0
    delay: float = DUE_NOW
    due_at: float | None = None
    expires_in: float | None = None
    expires_at: float | None = None
    acks_late: bool | None = None
    options: str = "{}"
    group: str | None = None
    root: str | None = None
    parent: str | None = None
    # Of a workflow: what it takes from its upstreams, who waits for it, and whether it waits itself. The delay, the eta
    # and the life time of one that waits begin when it waits no longer.
    inputs: str = ""
    feeds: int = 0
    blocked: bool = False

    # Neither of these shows the arguments, since a repr is what finds its way into logs (S10).
    def __repr__(self) -> str:
        return f"<NewMessage: {self.task}[{self.id}]>"


class Reservation(NamedTuple):
    """A lease on a message, with all that its run needs; ``(id, deliveries)`` is its fencing token."""

    id: str
    deliveries: int
    task: str
    args: str
    kwargs: str
    queue: str
    priority: int
    due_at: float
    retries: int
    losses: int
    acks_late: bool | None
    started_at: float | None
    begun_before: bool
    revoked: bool
    expires_at: float | None
    enqueued_at: float
    options: str
    group: str | None
    root: str | None
    parent: str | None
    reserved_at: float
    # Of a workflow: who waits for it, and a JSON array of what goes before its own arguments.
    feeds: int = 0
    handed: str | None = None

    def __repr__(self) -> str:
        return f"<Reservation: {self.task}[{self.id}] delivery {self.deliveries}>"

    @property
    def token(self) -> Token:
        """The fence: whoever holds an older number can write nothing."""
        # Asked for many times on the way of each message, and twice as fast as by a call of the class.
        return tuple.__new__(Token, self[:2])


class Token(NamedTuple):
    """What a holder must show to write: the message and the number of its delivery."""

    id: str
    deliveries: int


class Mark(NamedTuple):
    """How far the index of one queue and priority has been read; a hint only."""

    queue: str
    priority: int
    due_at: float
    id: str


class Demand(NamedTuple):
    """What a worker asks for when it reserves.

    ``queues`` None means every queue but the ``excluded``. ``begin`` acknowledges early messages in the same
    statement. ``lapsed`` also receives messages whose lease ran out. ``marks`` None reads from the start.
    ``without`` leaves messages of these tasks alone, ``only`` those of all others. ``since`` is the mark of what has
    none. Read from the start, messages that have been due for ``ageing`` seconds go before all others. A ``limit`` of
    zero receives nothing and only asks: ``next_due`` is zero if there is something.
    """

    worker: str
    limit: int
    lease: float
    queues: tuple[str, ...] | None = None
    excluded: tuple[str, ...] = ()
    begin: bool = False
    lapsed: bool = True
    marks: tuple[Mark, ...] | None = None
    without: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    since: float | None = None
    ageing: float | None = None

    @property
    def chooses(self) -> bool:
        """Whether it does not simply take what comes first."""
        return bool(self.only or self.without or (self.ageing is not None and self.marks is None))


class Supply(NamedTuple):
    """What reserving gave, and in how many seconds the next message of these queues comes due, if that is known.

    A reading for certain tasks also says when it was made, by the database's clock.
    """

    reservations: list[Reservation]
    next_due: float | None = None
    read_at: float | None = None
