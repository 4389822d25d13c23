"""Bring recordings to one loudness and draw them; write a report of an album when all of its recordings are done."""

import csv
import io
from pathlib import Path

from django.conf import settings
from django.db.models.functions import Now

from audio import sound
from audio.models import Album, Recording
from djtasks import AsyncResult, chord, shared_task


def publish(album: Album) -> AsyncResult:
    """Send a task for each recording of an album, and the report that waits for all of them; return its handle."""
    numbers = album.recordings.order_by("pk").values_list("pk", flat=True)
    return chord([process.s(number) for number in numbers], report.s(album.pk)).apply_async()


# Run twice it writes the same files again, so a lost worker's recording may simply be done over.
@shared_task(acks_late=True)
def process(recording_id: int) -> float:
    """Write the normalised file and the picture beside the source; return the new peak in dBFS."""
    recording = Recording.objects.get(pk=recording_id)
    source = Path(str(recording.source))
    normalised, picture = source.with_suffix(".normalised.wav"), source.with_suffix(".png")
    before = sound.read(settings.MEDIA_ROOT / source)
    after = sound.normalise(before)
    sound.write(after, settings.MEDIA_ROOT / normalised)
    sound.draw(after, settings.MEDIA_ROOT / picture)
    Recording.objects.filter(pk=recording_id).update(
        normalised=str(normalised),
        picture=str(picture),
        peak_before=before.peak,
        peak_after=after.peak,
        processed_at=Now(),
    )
    return after.peak


@shared_task(acks_late=True)
def report(peaks: list[float], album_id: int) -> str:
    """Write a table of an album, from the peaks that its recordings' tasks have returned; return where it is."""
    recordings = Recording.objects.filter(album=album_id).order_by("pk")
    place = Path("albums", f"{album_id}.csv")
    table = io.StringIO(newline="")
    writer = csv.writer(table)
    writer.writerow(["recording", "peak before (dBFS)", "peak after (dBFS)"])
    for recording, peak in zip(recordings, peaks, strict=True):
        writer.writerow([Path(str(recording.source)).name, f"{recording.peak_before:.2f}", f"{peak:.2f}"])
    with sound.replacing(settings.MEDIA_ROOT / place) as target:
        target.write(table.getvalue().encode())
    Album.objects.filter(pk=album_id).update(report=str(place), reported_at=Now())
    return str(place)
