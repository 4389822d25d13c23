"""Who is there: workers and beats, for people to see, and what workers are asked to do."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from djtasks.domain.identifiers import uuid7
from djtasks.models.clock import Now
from djtasks.models.fields import PayloadField


class Worker(models.Model):
    """A running ``runworker``, for people and for those who announce; nothing is decided by this row."""

    id = models.UUIDField(_("id"), primary_key=True, default=uuid7, editable=False)
    name = models.CharField(_("name"), max_length=255)
    host = models.CharField(_("host"), max_length=255)
    pid = models.IntegerField(_("process id"))
    pool = models.CharField(_("pool"), max_length=32)
    slots = models.IntegerField(_("slots"))
    queues = PayloadField(_("queues"), null=True, blank=True)
    excluded = PayloadField(_("excluded queues"), default=list, db_default=[])
    listening = models.BooleanField(_("listening"), default=True, db_default=True)
    memory = models.IntegerField(_("memory in KiB"), null=True, blank=True)
    started_at = models.DateTimeField(_("started at"), db_default=Now())
    seen_at = models.DateTimeField(_("seen at"), db_default=Now())

    class Meta:
        verbose_name = _("worker")
        verbose_name_plural = _("workers")
        permissions = (("control_worker", "Can tell workers what to do"),)

    def __str__(self) -> str:
        return self.name


class Beat(models.Model):
    """A running beat, alone or within a worker; none is a leader, and nothing is decided by this row."""

    id = models.UUIDField(_("id"), primary_key=True, default=uuid7, editable=False)
    name = models.CharField(_("name"), max_length=255)
    host = models.CharField(_("host"), max_length=255)
    pid = models.IntegerField(_("process id"))
    worker = models.UUIDField(_("worker"), null=True, blank=True)
    started_at = models.DateTimeField(_("started at"), db_default=Now())
    seen_at = models.DateTimeField(_("seen at"), db_default=Now())

    class Meta:
        verbose_name = _("beat")
        verbose_name_plural = _("beats")

    def __str__(self) -> str:
        return self.name


class Command(models.Model):
    """A verb of the remote control for one worker, and the worker's answer; one row for each worker that is asked."""

    id = models.UUIDField(_("id"), primary_key=True, default=uuid7, editable=False)
    worker = models.UUIDField(_("worker"))
    verb = models.CharField(_("verb"), max_length=64)
    arguments = PayloadField(_("arguments"), default=dict, db_default={})
    sent_at = models.DateTimeField(_("sent at"), db_default=Now())
    answered_at = models.DateTimeField(_("answered at"), null=True, blank=True)
    answer = PayloadField(_("answer"), null=True, blank=True)
    failed = models.BooleanField(_("failed"), default=False, db_default=False)

    class Meta:
        verbose_name = _("command")
        verbose_name_plural = _("commands")
        indexes = (
            models.Index(fields=["worker"], name="djtasks_command_open", condition=models.Q(answered_at__isnull=True)),
        )

    def __str__(self) -> str:
        return f"{self.verb} to {self.worker}"
