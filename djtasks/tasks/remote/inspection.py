"""Questions to running workers, with Celery's names (WORK-10)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from djtasks.broker.vendors import shared_vendor
from djtasks.conf import settings
from djtasks.models import Message
from djtasks.tasks.masking import shown_texts
from djtasks.tasks.remote.asking import Destination, Replies, ask

Answers = dict[str, Any] | None
MOST_SCHEDULED = 100


class inspect:
    """Each question returns ``{name: answer}``, or None where nobody has answered; ``missing()`` then tells why.

    An empty answer is that of an idle worker. With a single name as destination the answer itself is returned.
    """

    def __init__(self, destination: Destination = None, timeout: float = 1.0) -> None:
        self.destination = destination
        self.timeout = timeout
        self.replies = Replies()

    def missing(self) -> dict[str, str]:
        """Say who did not answer the last question: "no answer" (it lives), "dead", or "unknown"."""
        return dict(self.replies.missing)

    # What workers know

    def ping(self) -> Answers:
        """Ask who is there."""
        return self._ask("ping")

    def active(self) -> Answers:
        """Ask what runs."""
        return self._ask("active")

    def reserved(self) -> Answers:
        """Ask what is held and has not begun."""
        return self._ask("reserved")

    def query_task(self, *ids: Any) -> Answers:
        """Ask where these tasks are: ``{name: {id: ["active" | "reserved", facts]}}``."""
        several = (list, tuple, set, frozenset)
        named = [each for given in ids for each in (given if isinstance(given, several) else [given])]
        return self._ask("query_task", ids=[str(each) for each in named])

    def registered(self, *attributes: str) -> Answers:
        """Ask for the tasks that are known, each with these of its options."""
        return self._ask("registered", attributes=list(attributes))

    registered_tasks = registered

    def stats(self) -> Answers:
        """Ask for counts and measures."""
        return self._ask("stats")

    def active_queues(self) -> Answers:
        """Ask which queues are served; the name ``*`` stands for every queue but the excluded."""
        return self._ask("active_queues")

    def conf(self) -> Answers:
        """Ask for the settings; what looks like a secret is masked."""
        return self._ask("conf")

    def report(self) -> Answers:
        """Ask for versions and settings."""
        return self._ask("report")

    # What the tables know

    def scheduled(self) -> Answers:
        """Ask what is delayed in the queues of each worker: the first hundred, for no worker holds them."""
        found: dict[tuple[Any, ...], list[dict[str, Any]]] = {}

        def delayed(queues: list[dict[str, Any]]) -> list[dict[str, Any]]:
            names = tuple(queue["name"] for queue in queues)
            excluded = tuple(name for queue in queues for name in queue.get("excluded", ()))
            if (names, excluded) not in found:
                found[names, excluded] = _delayed(None if "*" in names else names, excluded)
            return found[names, excluded]

        return self._ask("active_queues", read=delayed)

    def revoked(self) -> Answers:
        """Ask which of the messages that workers hold are revoked: all others of that kind have ended."""

        def revoked(held: list[str]) -> list[str]:
            rows = Message.objects.using(settings.DATABASE).filter(pk__in=held, revoked_at__isnull=False)
            return [str(pk) for pk in rows.order_by("pk").values_list("pk", flat=True)]

        return self._ask("held", read=revoked)

    def _ask(self, verb: str, read: Any = None, **arguments: Any) -> Answers:
        self.replies = replies = ask(verb, arguments, self.destination, self.timeout)
        if read is not None:
            for name in replies.answers.keys() - replies.failed:
                replies.answers[name] = read(replies.answers[name])
        if isinstance(self.destination, (str, UUID)):
            return next(iter(replies.answers.values()), None)
        return replies.answers or None


def _delayed(queues: Iterable[str] | None, excluded: Iterable[str]) -> list[dict[str, Any]]:
    rows = Message.objects.using(settings.DATABASE).filter(due_at__gt=shared_vendor().now(), leased_until=None)
    rows = rows.exclude(queue__in=excluded) if queues is None else rows.filter(queue__in=queues)
    return [_planned(row) for row in rows.order_by("due_at", "pk")[:MOST_SCHEDULED]]


def _planned(row: Message) -> dict[str, Any]:
    args, kwargs = shown_texts(row.task, row.args, row.kwargs, row.options)
    request: dict[str, Any] = {"id": str(row.pk), "name": row.task, "args": args, "kwargs": kwargs}
    request |= {"queue": row.queue, "retries": row.retries}
    return {"eta": row.due_at and row.due_at.isoformat(), "priority": row.priority, "request": request}
