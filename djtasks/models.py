"""The tables: what lives, what has ended, and who works (design, "The tables")."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from djtasks.domain import payloads, states
from djtasks.domain.identifiers import QUEUE_NAME_LENGTH, TASK_NAME_LENGTH, uuid7
from djtasks.exceptions import DecodeError

if TYPE_CHECKING:
    from datetime import datetime

    TextField = models.TextField[Any, Any]
else:
    TextField = models.TextField


class PayloadField(TextField):
    """A value kept as JSON text, the same on every database; what cannot be decoded is shown as it stands."""

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Any:
        return self.to_python(value)

    def get_prep_value(self, value: Any) -> Any:
        if value is None or hasattr(value, "resolve_expression"):
            return value
        return payloads.encode(value, where=self.name)

    def value_to_string(self, obj: models.Model) -> str:
        return str(self.get_prep_value(self.value_from_object(obj)))

    def to_python(self, value: Any) -> Any:
        try:
            return payloads.decode(value) if isinstance(value, str) else value
        except DecodeError:
            return value


class ErrorsField(TextField):
    """What went wrong in each attempt, a JSON object a line: to append is to concatenate, which cannot fail."""

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> list[dict[str, Any]]:
        return self.to_python(value)

    def get_prep_value(self, value: Any) -> Any:
        if value is None or isinstance(value, str) or hasattr(value, "resolve_expression"):
            return value
        return "".join(json.dumps(error) + "\n" for error in value)

    def value_to_string(self, obj: models.Model) -> str:
        return str(self.get_prep_value(self.value_from_object(obj)))

    def to_python(self, value: Any) -> list[dict[str, Any]]:
        if isinstance(value, list):
            return value
        return [self._read(line) for line in (value or "").split("\n") if line]

    def _read(self, line: str) -> dict[str, Any]:
        try:
            error = json.loads(line)
        except (ValueError, RecursionError):
            error = None
        return error if isinstance(error, dict) else {"kind": "unreadable", "message": line}


class Invocation(models.Model):
    """What a message and its result have in common."""

    id = models.UUIDField(_("id"), primary_key=True, default=uuid7, editable=False)
    task = models.CharField(_("task"), max_length=TASK_NAME_LENGTH)
    args = PayloadField(_("arguments"), default=list, db_default=[])
    kwargs = PayloadField(_("keyword arguments"), default=dict, db_default={})
    queue = models.CharField(_("queue"), max_length=QUEUE_NAME_LENGTH, db_default="default", default="default")
    priority = models.SmallIntegerField(_("priority"), default=0, db_default=0)
    retries = models.IntegerField(_("retries"), default=0, db_default=0)
    deliveries = models.IntegerField(_("deliveries"), default=0, db_default=0)
    losses = models.SmallIntegerField(_("losses"), default=0, db_default=0)
    options = PayloadField(_("options"), default=dict, db_default={})
    errors = ErrorsField(_("errors"), default=list, db_default="", blank=True)
    worker = models.UUIDField(_("worker"), null=True, blank=True)
    group = models.UUIDField(_("group"), null=True, blank=True)
    root = models.UUIDField(_("root"), null=True, blank=True)
    parent = models.UUIDField(_("parent"), null=True, blank=True)
    enqueued_at = models.DateTimeField(_("enqueued at"), db_default=Now())
    due_at = models.DateTimeField(_("due at"), null=True, blank=True, db_default=Now())
    started_at = models.DateTimeField(_("started at"), null=True, blank=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.task} {self.id}"


class Message(Invocation):
    """One invocation that lives. A lease touches no indexed column, so that reserving never touches an index."""

    leased_until = models.DateTimeField(_("leased until"), null=True, blank=True)
    acks_late = models.BooleanField(_("acknowledged late"), null=True, blank=True)
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)
    state = models.CharField(_("the task's own state"), max_length=64, default="", db_default="", blank=True)
    meta = PayloadField(_("meta"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True)
    awaited = models.BooleanField(_("awaited"), default=False, db_default=False)

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        indexes = (
            models.Index(fields=["queue", "-priority", "due_at", "id"], name="djtasks_message_live"),
            models.Index(fields=["parent"], name="djtasks_message_parent", condition=models.Q(parent__isnull=False)),
        )

    def current_state(self, now: datetime) -> str:
        """Say the state that callers see, read from the facts."""
        return states.of_message(
            due_at=self.due_at,
            leased_until=self.leased_until,
            started_at=self.started_at,
            retries=self.retries,
            own_state=self.state,
            now=now,
        )


class Result(Invocation):
    """The kept record of a message that has ended."""

    state = models.CharField(_("state"), max_length=64)
    value = PayloadField(_("value"), null=True, blank=True)
    hostname = models.CharField(_("worker's name"), max_length=255, default="", db_default="", blank=True)
    finished_at = models.DateTimeField(_("finished at"), db_default=Now())
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)

    class Meta:
        verbose_name = _("result")
        verbose_name_plural = _("results")
        indexes = (
            models.Index(
                fields=["expires_at"], name="djtasks_result_expiry", condition=models.Q(expires_at__isnull=False)
            ),
            models.Index(fields=["parent"], name="djtasks_result_parent", condition=models.Q(parent__isnull=False)),
        )

    @property
    def error(self) -> dict[str, Any] | None:
        """The error that ended it, or None."""
        return self.errors[-1] if self.errors and self.state in states.PROPAGATE_STATES else None


class Worker(models.Model):
    """A running ``runworker``, for people and for those who announce; nothing is decided by this row."""

    id = models.UUIDField(_("id"), primary_key=True, default=uuid7, editable=False)
    name = models.CharField(_("name"), max_length=255)
    host = models.CharField(_("host"), max_length=255)
    pid = models.IntegerField(_("process id"))
    pool = models.CharField(_("pool"), max_length=32)
    slots = models.IntegerField(_("slots"))
    queues = PayloadField(_("queues"), null=True, blank=True)
    listening = models.BooleanField(_("listening"), default=True, db_default=True)
    started_at = models.DateTimeField(_("started at"), db_default=Now())
    seen_at = models.DateTimeField(_("seen at"), db_default=Now())

    class Meta:
        verbose_name = _("worker")
        verbose_name_plural = _("workers")

    def __str__(self) -> str:
        return self.name
