"""One run of the demonstration: the work it gives, how far that is, and the worker that is killed."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.db.models.functions import Now

from audio.models import Recording
from audio.tasks import process
from crawler.models import Link, Page, Site
from crawler.tasks import crawl, start
from demonstration.mailserver import Mailbox
from demonstration.recordings import record
from demonstration.visitor import Visitor
from demonstration.website import Website, allowed
from djtasks import Task
from djtasks.models import Message, Worker
from mail.models import SignUp
from mail.tasks import send_welcome

SIGN_UPS = 40
RECORDINGS = 24


@dataclass(frozen=True)
class Kind:
    """How far one kind of work is."""

    name: str
    waiting: int
    reserved: int
    done: int
    total: int


@dataclass(frozen=True)
class Progress:
    kinds: tuple[Kind, ...]

    @property
    def share(self) -> float:
        return sum(kind.done for kind in self.kinds) / sum(kind.total for kind in self.kinds)

    @property
    def idle(self) -> bool:
        return not any(kind.waiting or kind.reserved for kind in self.kinds)


@dataclass
class Run:
    """The run is told from others in the same database by its name, which is in every row that it makes."""

    name: str
    website: Website
    held_at_kill: frozenset[UUID] = field(default=frozenset())
    mailbox: Mailbox = field(init=False)
    site: Site = field(init=False)

    def __post_init__(self) -> None:
        self.mailbox = Mailbox([self._email(number) for number in range(SIGN_UPS)])

    @property
    def queue(self) -> str:
        """The queue that this run has to itself."""
        return str(settings.DJTASKS["TASK_DEFAULT_QUEUE"])

    @property
    def sign_ups(self) -> QuerySet[SignUp]:
        return SignUp.objects.filter(email__in=self.mailbox.expected)

    @property
    def recordings(self) -> QuerySet[Recording]:
        return Recording.objects.filter(source__startswith=f"{self._folder}/")

    @property
    def pages(self) -> QuerySet[Page]:
        return Page.objects.filter(site=self.site)

    @property
    def links(self) -> QuerySet[Link]:
        return Link.objects.filter(source__site=self.site)

    def give_work(self, visitor: Visitor) -> Iterator[None]:
        """Ask for all the work, a little at each step, so that it comes mixed as it does in life."""
        with transaction.atomic():
            self.site = Site.objects.create(root=self.website.root)
            start.delay(self.site.pk)
        for number in range(max(SIGN_UPS, RECORDINGS)):
            if number < SIGN_UPS:
                visitor.sign_up(f"Visitor {number + 1}", self._email(number))
            if number < RECORDINGS:
                self._record(number)
            yield

    def progress(self) -> Progress:
        tasks = Message.objects.filter(queue=self.queue).values("task")
        rows = tasks.annotate(messages=Count("id"), reserved=Count("id", filter=Q(leased_until__gt=Now())))
        counts = {row["task"]: (row["messages"], row["reserved"]) for row in rows}

        def kind(name: str, tasks: list[Task], finished: QuerySet[Any], total: int) -> Kind:
            messages, reserved = map(sum, zip(*(counts.get(task.name, (0, 0)) for task in tasks), strict=True))
            return Kind(name, messages - reserved, reserved, finished.count(), total)

        fetchable = sum(map(allowed, self.website.answers))
        return Progress(
            (
                kind("mail", [send_welcome], self.sign_ups.exclude(sent_at=None), SIGN_UPS),
                kind("audio", [process], self.recordings.exclude(processed_at=None), RECORDINGS),
                kind("crawler", [start, crawl], self.pages.exclude(fetched_at=None), fetchable),
            )
        )

    def held_by(self, pid: int) -> frozenset[UUID]:
        """Return the messages that the worker with this process id has reserved and not settled."""
        worker = Worker.objects.filter(pid=pid).latest("started_at")
        held = Message.objects.filter(worker=worker.pk, leased_until__gt=Now())
        return frozenset(held.values_list("pk", flat=True))

    @property
    def _folder(self) -> Path:
        return Path("recordings", self.name)

    def _record(self, number: int) -> None:
        source = self._folder / f"chord-{number + 1:02}.wav"
        record(number, settings.MEDIA_ROOT / source)
        with transaction.atomic():
            recording = Recording.objects.create(source=str(source))
            process.delay(recording.pk)

    def _email(self, number: int) -> str:
        return f"visitor-{number + 1}.{self.name}@djtasks.example"
