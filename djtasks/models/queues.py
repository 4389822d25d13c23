"""Queues that differ from the default; every other queue is but a name that messages carry."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from djtasks.domain.identifiers import QUEUE_NAME_LENGTH


class Queue(models.Model):
    """What is special about a queue: so far whether it is paused, and since when."""

    name = models.CharField(_("name"), max_length=QUEUE_NAME_LENGTH, primary_key=True)
    paused_at = models.DateTimeField(_("paused at"), null=True, blank=True)

    class Meta:
        verbose_name = _("queue")
        verbose_name_plural = _("queues")
        permissions = (("pause_queue", "Can pause and resume queues"),)

    def __str__(self) -> str:
        return self.name
