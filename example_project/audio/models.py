"""Sound files, the albums that they belong to, and what became of them."""

from django.db import models


class Album(models.Model):
    """Recordings that are processed together; ``report`` is empty until all of them are."""

    title = models.CharField(max_length=200, unique=True)
    report = models.FileField(blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    reported_at = models.DateTimeField(null=True, editable=False)

    def __str__(self) -> str:
        return self.title


class Recording(models.Model):
    """A WAV file; ``normalised`` and ``picture`` are empty until it is processed."""

    album = models.ForeignKey(Album, on_delete=models.CASCADE, related_name="recordings", null=True, blank=True)
    source = models.FileField(upload_to="recordings", unique=True)
    normalised = models.FileField(blank=True, editable=False)
    picture = models.ImageField(blank=True, editable=False)
    peak_before = models.FloatField("peak before (dBFS)", null=True, editable=False)
    peak_after = models.FloatField("peak after (dBFS)", null=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    processed_at = models.DateTimeField(null=True, editable=False)

    def __str__(self) -> str:
        return str(self.source)
