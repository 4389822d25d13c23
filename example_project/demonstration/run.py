"""One run of the demonstration: the work it gives, how far that is, and what is killed."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from audio import tasks as audio
from audio.models import Album, Recording
from crawler import tasks as crawler
from crawler.models import Link, Page, Site
from demonstration.mailserver import Mailbox
from demonstration.recordings import record
from demonstration.visitor import Visitor
from demonstration.website import Website, allowed
from djtasks import Task, every
from djtasks.models import Beat, Message, Schedule, Slot, Worker
from mail.models import SignUp
from mail.tasks import CONFIRMED_WITHIN, clean_up, send_digest, send_welcome

SIGN_UPS = 40
ALBUMS = 3
TRACKS = 8
RECORDINGS = ALBUMS * TRACKS
DIGEST_EVERY = timedelta(seconds=2)
CRAWL, DIGEST, CLEAN_UP = "crawl of the day", "digest", "clean-up"


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
    beats_before_kill: int = 0
    mailbox: Mailbox = field(init=False)
    began_at: datetime = field(default_factory=timezone.now)

    def __post_init__(self) -> None:
        self.mailbox = Mailbox([self._email(number) for number in range(SIGN_UPS)])

    @property
    def queue(self) -> str:
        """The queue that this run has to itself."""
        return str(settings.DJTASKS["TASK_DEFAULT_QUEUE"])

    @property
    def site(self) -> Site | None:
        """What the crawl of the day has begun."""
        return Site.objects.filter(root=self.website.root, slot__gte=self.began_at).first()

    @property
    def schedules(self) -> QuerySet[Schedule]:
        return Schedule.objects.filter(name__endswith=f", {self.name}")

    @property
    def slots(self) -> QuerySet[Slot]:
        return Slot.objects.filter(schedule__in=self.schedules)

    def slots_of(self, name: str) -> QuerySet[Slot]:
        return self.slots.filter(schedule__name=self._schedule_name(name))

    def slots_made(self) -> Counter[str]:
        """Count the slots by what the schedules have in common with those of other runs."""
        return Counter(name.partition(", ")[0] for name in self.slots.values_list("schedule__name", flat=True))

    @property
    def sign_ups(self) -> QuerySet[SignUp]:
        return SignUp.objects.filter(email__in=self.mailbox.expected)

    @property
    def recordings(self) -> QuerySet[Recording]:
        return Recording.objects.filter(source__startswith=f"{self._folder}/")

    @property
    def albums(self) -> QuerySet[Album]:
        return Album.objects.filter(title__startswith=f"{self.name}, ")

    @property
    def pages(self) -> QuerySet[Page]:
        return Page.objects.filter(site=self.site)

    @property
    def links(self) -> QuerySet[Link]:
        return Link.objects.filter(source__site=self.site)

    def schedule(self) -> None:
        """Make schedules as an operator does who cannot wait for the morning, when those in the code come."""
        self._schedule(CRAWL, crawler.crawl_of_the_day, timedelta(seconds=1), args=[self.website.root], one_off=True)
        self._schedule(DIGEST, send_digest, DIGEST_EVERY, missed="all")
        self._schedule(CLEAN_UP, clean_up, timedelta(seconds=3))

    def stop_schedules(self) -> None:
        self.schedules.update(enabled=False)

    def give_work(self, visitor: Visitor) -> Iterator[None]:
        """Ask for all the work, a little at each step, so that it comes mixed as it does in life."""
        self._sign_up_long_ago()
        for number in range(max(SIGN_UPS, RECORDINGS)):
            if number < SIGN_UPS:
                visitor.sign_up(f"Visitor {number + 1}", self._email(number))
            if number < RECORDINGS:
                self._record(number)
                if number % TRACKS == TRACKS - 1:
                    self._publish(number // TRACKS)
            yield

    @property
    def told(self) -> bool:
        """Whether the owner has been told of everybody."""
        return self.sign_ups.exclude(digest__sent_at=None).count() == SIGN_UPS

    @property
    def forgotten(self) -> QuerySet[SignUp]:
        """Who signed up too long ago, and never confirmed."""
        return SignUp.objects.filter(email=self._forgotten_email)

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
                kind("audio", [audio.process, audio.report], self.recordings.exclude(processed_at=None), RECORDINGS),
                kind(
                    "crawler",
                    [crawler.start, crawler.crawl, crawler.report],
                    self.pages.exclude(fetched_at=None),
                    fetchable,
                ),
            )
        )

    def held_by(self, pid: int) -> frozenset[UUID]:
        """Return the messages that the worker with this process id has reserved and not settled."""
        worker = Worker.objects.filter(pid=pid).latest("started_at")
        held = Message.objects.filter(worker=worker.pk, leased_until__gt=Now())
        return frozenset(held.values_list("pk", flat=True))

    def beats_among(self, pids: list[int]) -> int:
        """Count the beats that run in the processes with these ids."""
        return Beat.objects.filter(pid__in=pids, started_at__gte=self.began_at).count()

    @property
    def _folder(self) -> Path:
        return Path("recordings", self.name)

    def _schedule(self, name: str, task: Task, interval: timedelta, **fields: Any) -> None:
        schedule = Schedule(name=self._schedule_name(name), task=task.name, queue=self.queue, **fields)
        schedule.set_rule(every(interval))
        schedule.save()

    def _schedule_name(self, name: str) -> str:
        return f"{name}, {self.name}"

    def _sign_up_long_ago(self) -> None:
        SignUp.objects.create(name="Forgotten", email=self._forgotten_email)
        self.forgotten.update(created_at=timezone.now() - 2 * CONFIRMED_WITHIN)

    def _record(self, number: int) -> None:
        source = self._folder / f"chord-{number + 1:02}.wav"
        record(number, settings.MEDIA_ROOT / source)
        Recording.objects.create(source=str(source))

    def _publish(self, number: int) -> None:
        """Make an album of the recordings that have none, and have it processed."""
        with transaction.atomic():
            album = Album.objects.create(title=f"{self.name}, part {number + 1}")
            self.recordings.filter(album=None).update(album=album)
            audio.publish(album)

    def _email(self, number: int) -> str:
        return f"visitor-{number + 1}.{self.name}@djtasks.example"

    @property
    def _forgotten_email(self) -> str:
        return f"forgotten.{self.name}@djtasks.example"
