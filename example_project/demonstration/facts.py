"""What must be true when a run has ended, counted where it can be seen: at the servers, on the disk, in the tables."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from PIL import Image

from audio import sound
from crawler.models import Page
from demonstration.run import RECORDINGS, SIGN_UPS, Run
from demonstration.website import allowed, links
from djtasks import states
from djtasks.models import Message, Result


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
    yield from _queue(run)


def _mail(run: Run) -> Iterator[Fact]:
    mailbox = run.mailbox
    received = mailbox.recipients
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


def _crawler(run: Run) -> Iterator[Fact]:
    def path(url: str) -> str:
        return url.removeprefix(run.website.root)

    expected = {place: answer.status for place, answer in run.website.answers.items() if allowed(place)}
    stored = {path(page.url): page.status for page in run.pages.exclude(fetched_at=None)}
    yield Fact("crawler", "pages stored, each with its status", f"{len(stored)} of {len(expected)}", stored == expected)
    found = {(path(link.source.url), path(link.target.url)) for link in run.links.select_related("source", "target")}
    wanted = links(run.website.answers)
    yield Fact("crawler", "links stored", f"{len(found)} of {len(wanted)}", found == wanted)
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


def _queue(run: Run) -> Iterator[Fact]:
    held = len(run.held_at_kill)
    saved = Result.objects.filter(pk__in=run.held_at_kill, state=states.SUCCESS, deliveries__gt=1).count()
    yield Fact("queue", "messages held at the kill and ended since", f"{saved} of {held}", saved == held > 0)
    ended = Result.objects.filter(queue=run.queue)
    succeeded, failed = ended.filter(state=states.SUCCESS).count(), ended.exclude(state=states.SUCCESS).count()
    given = SIGN_UPS + RECORDINGS + 1 + run.pages.filter(allowed=True).count()
    yield Fact("queue", "tasks that succeeded", f"{succeeded} of {given}", succeeded == given)
    yield Fact("queue", "tasks that failed", f"{failed}", failed == 0)
    left = Message.objects.filter(queue=run.queue).count()
    yield Fact("queue", "messages left", f"{left}", left == 0)
