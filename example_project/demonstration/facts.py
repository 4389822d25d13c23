"""What must be true when a run has ended, counted where it can be seen: at the servers, on the disk, in the tables."""

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from django.conf import settings
from PIL import Image

from audio import sound
from audio import tasks as audio
from audio.models import Album
from crawler import tasks as crawler
from crawler.models import Page, Site
from demonstration.run import ALBUMS, CLEAN_UP, CRAWL, DIGEST, DIGEST_EVERY, RECORDINGS, SIGN_UPS, TRACKS, Run
from demonstration.website import allowed, links
from djtasks import states
from djtasks.models import Message, Result, Slot
from mail.tasks import clean_up, send_digest


@dataclass(frozen=True)
class Fact:
    kind: str
    text: str
    counted: str
    holds: bool


def facts(run: Run) -> Iterator[Fact]:
    yield from _mail(run)
    yield from _audio(run)
    yield from _crawler(run)
    yield from _schedules(run)
    yield from _queue(run)


def _mail(run: Run) -> Iterator[Fact]:
    mailbox = run.mailbox
    received = mailbox.recipients - {settings.OWNER_EMAIL}
    yield Fact("mail", "recipients whose mail came", f"{len(received)} of {SIGN_UPS}", received == mailbox.expected)
    refused = set(mailbox.refusals)
    yield Fact("mail", "refused at first (451), sent by a retry", f"{len(refused)}", refused == mailbox.greylisted)
    sent = run.sign_ups.exclude(sent_at=None).count()
    yield Fact("mail", "sign-ups marked as sent", f"{sent} of {SIGN_UPS}", sent == SIGN_UPS)
    # A mail that the server has taken, and the killed worker could not note, comes again under the same Message-ID.
    repeated = {UUID(message_id.strip("<>").partition("@")[0]) for message_id in mailbox.repeated}
    text = "mails that came twice, all held at the kill"
    yield Fact("mail", text, f"{len(repeated)}", repeated <= run.held_at_kill)


def _audio(run: Run) -> Iterator[Fact]:
    recordings = list(run.recordings.exclude(processed_at=None))
    peaks = [sound.read(Path(recording.normalised.path)).peak for recording in recordings]
    right = sum(abs(peak + 1) < 0.01 for peak in peaks)
    yield Fact("audio", "files written that peak at -1 dBFS", f"{right} of {RECORDINGS}", right == RECORDINGS)
    pictures = 0
    for recording in recordings:
        with Image.open(recording.picture.path) as picture:
            pictures += picture.format == "PNG"
    yield Fact("audio", "waveforms drawn", f"{pictures} of {RECORDINGS}", pictures == RECORDINGS)
    told = sum(map(_tells_of_all_its_recordings, run.albums.exclude(reported_at=None)))
    text = "albums reported, each after its last recording"
    yield Fact("audio", text, f"{told} of {ALBUMS}", told == ALBUMS)


def _tells_of_all_its_recordings(album: Album) -> bool:
    recordings = album.recordings.order_by("pk")
    expected = [
        [Path(recording.source.name).name, f"{sound.read(Path(recording.normalised.path)).peak:.2f}"]
        for recording in recordings
    ]
    with album.report.open("r") as table:
        told = [[name, after] for name, _, after in list(csv.reader(table))[1:]]
    return told == expected and len(told) == TRACKS and album.reported_at >= max(r.processed_at for r in recordings)


def _crawler(run: Run) -> Iterator[Fact]:
    def path(url: str) -> str:
        return url.removeprefix(run.website.root)

    expected = {place: answer.status for place, answer in run.website.answers.items() if allowed(place)}
    stored = {path(page.url): page.status for page in run.pages.exclude(fetched_at=None)}
    yield Fact("crawler", "pages stored, each with its status", f"{len(stored)} of {len(expected)}", stored == expected)
    found = {(path(link.source.url), path(link.target.url)) for link in run.links.select_related("source", "target")}
    wanted = links(run.website.answers)
    yield Fact("crawler", "links stored", f"{len(found)} of {len(wanted)}", found == wanted)
    site = run.site
    if site is None:
        yield Fact("crawler", "crawls of the day that were begun", "0 of 1", False)
        return
    told = site.report
    statuses = Counter(str(status) for status in expected.values())
    ended_last = site.ended_at and not run.pages.filter(fetched_at__gt=site.ended_at).exists()
    text = "pages that the report counts, after the last one"
    yield Fact("crawler", text, f"{sum(told.values())} of {len(expected)}", bool(ended_last and told == statuses))
    fetches = run.website.fetches
    trespasses = sum(count for place, count in fetches.items() if not allowed(place))
    forbidden = run.pages.filter(allowed=False).count()
    text = "pages fetched of those that robots.txt forbids"
    yield Fact("crawler", text, f"{trespasses} of {forbidden}", trespasses == 0 < forbidden)
    # What the killed worker had begun to fetch nobody can know to be fetched: that, and that alone, is fetched again.
    again = {place for place, count in fetches.items() if count > 1}
    text = "pages fetched again, all held at the kill"
    yield Fact("crawler", text, f"{len(again)}", again <= {path(page.url) for page in _redelivered(run)})


def _redelivered(run: Run) -> list[Page]:
    return list(run.pages.filter(taken_by__in=run.held_at_kill, delivery__gt=1))


def _schedules(run: Run) -> Iterator[Fact]:
    beats = run.beats_before_kill
    yield Fact("schedules", "beats at work, until one was killed", f"{beats} of 2", beats == 2)
    tasks = [crawler.crawl_of_the_day.name, send_digest.name, clean_up.name]
    ended = set(Result.objects.filter(queue=run.queue, task__in=tasks).values_list("pk", flat=True))
    for name in (CRAWL, DIGEST, CLEAN_UP):
        messages = list(run.slots_of(name).values_list("message", flat=True))
        once = len(messages) == len(set(messages) & ended) > 0
        yield Fact("schedules", f"slots of the {name}, each with its message", f"{len(messages)}", once)
    beside = len(ended) - Slot.objects.filter(message__in=ended).count()
    yield Fact("schedules", "messages of theirs for no slot, or the same one", f"{beside}", beside == 0)
    times = list(run.slots_of(DIGEST).order_by("due_at").values_list("due_at", flat=True))
    expected = [times[0] + number * DIGEST_EVERY for number in range(len(times))]
    missing = len(set(expected) - set(times))
    yield Fact("schedules", "slots of the digest left out around the kill", f"{missing}", times == expected)
    letters = [letter for to, letter in run.mailbox.letters.values() if to == settings.OWNER_EMAIL]
    named = Counter(line for letter in letters for line in str(letter.get_payload()).splitlines())
    told = sum(named[str(sign_up)] == 1 for sign_up in run.sign_ups)
    yield Fact("schedules", "sign-ups of which the owner was told, once", f"{told} of {SIGN_UPS}", told == SIGN_UPS)
    crawls = Site.objects.filter(root=run.website.root, slot__gte=run.began_at).count()
    yield Fact("schedules", "crawls of the day", f"{crawls} of 1", crawls == 1)
    left = run.forgotten.count()
    yield Fact("schedules", "old sign-ups that the clean-up has left", f"{left}", left == 0)


def _queue(run: Run) -> Iterator[Fact]:
    held = len(run.held_at_kill)
    saved = Result.objects.filter(pk__in=run.held_at_kill, state=states.SUCCESS, deliveries__gt=1).count()
    yield Fact("queue", "messages held at the kill and ended since", f"{saved} of {held}", saved == held > 0)
    ended = Result.objects.filter(queue=run.queue)
    succeeded, failed = ended.filter(state=states.SUCCESS).count(), ended.exclude(state=states.SUCCESS).count()
    reports = ALBUMS + 1
    by_schedule = Slot.objects.filter(message__in=ended.values("pk")).count()
    given = SIGN_UPS + RECORDINGS + 1 + run.pages.filter(allowed=True).count() + reports + by_schedule
    yield Fact("queue", "tasks that succeeded", f"{succeeded} of {given}", succeeded == given)
    told = ended.filter(task__in=[audio.report.name, crawler.report.name]).count()
    yield Fact("queue", "reports that waited for all others, each once", f"{told} of {reports}", told == reports)
    yield Fact("queue", "tasks that failed", f"{failed}", failed == 0)
    left = Message.objects.filter(queue=run.queue).count()
    yield Fact("queue", "messages left", f"{left}", left == 0)
