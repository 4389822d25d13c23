"""Bring a recording to one loudness and draw it."""

from pathlib import Path

from django.conf import settings
from django.db.models.functions import Now

from audio import sound
from audio.models import Recording
from djtasks import shared_task


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
