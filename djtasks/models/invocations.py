"""Messages that live, results of those that have ended, and the edges of workflows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from djtasks.domain import states
from djtasks.domain.identifiers import QUEUE_NAME_LENGTH, TASK_NAME_LENGTH, uuid7
from djtasks.models.clock import Now
from djtasks.models.fields import ErrorsField, PayloadField

if TYPE_CHECKING:
    from datetime import datetime


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
    inputs = models.CharField(_("inputs"), max_length=8, default="", db_default="", blank=True)
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
    terminate = models.CharField(_("signal that ends it"), max_length=16, default="", db_default="", blank=True)
    awaited = models.BooleanField(_("awaited"), default=False, db_default=False)
    feeds = models.SmallIntegerField(_("feeds"), default=0, db_default=0)
    delay = models.FloatField(_("seconds to wait once unblocked"), null=True, blank=True)
    eta = models.DateTimeField(_("not before, once unblocked"), null=True, blank=True)
    lifetime = models.FloatField(_("seconds to live once unblocked"), null=True, blank=True)

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        indexes = (
            models.Index(fields=["queue", "-priority", "due_at", "id"], name="djtasks_message_live"),
            models.Index(fields=["parent"], name="djtasks_message_parent", condition=models.Q(parent__isnull=False)),
            models.Index(fields=["group"], name="djtasks_message_group", condition=models.Q(group__isnull=False)),
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
            models.Index(fields=["group"], name="djtasks_result_group", condition=models.Q(group__isnull=False)),
        )

    @property
    def error(self) -> dict[str, Any] | None:
        """The error that ended it, or None."""
        return self.errors[-1] if self.errors and self.state in states.PROPAGATE_STATES else None


class Task(Message):
    """A task, alive or ended, as people look for it and act on it; its permissions are those of operators."""

    class Meta:
        proxy = True
        verbose_name = _("task")
        verbose_name_plural = _("tasks")
        default_permissions = ("view", "change", "delete")
        permissions = (
            ("view_payload", "Can see the arguments, results and errors of tasks"),
            ("retry_task", "Can run tasks now, or again"),
            ("revoke_task", "Can revoke and terminate tasks"),
            ("enqueue_task", "Can send tasks"),
        )


class Dependency(models.Model):
    """An edge of a workflow: a message waits until another one, its upstream, has ended in a certain way.

    It is there as long as the message is; where the message could not run, as long as its result, so that the workflow
    can be taken up again.
    """

    id = models.BigAutoField(primary_key=True)
    message = models.UUIDField(_("message"))
    upstream = models.UUIDField(_("upstream"))
    position = models.IntegerField(_("position"), null=True, blank=True)
    on = models.CharField(_("on"), max_length=8, default="success", db_default="success")
    fate = models.CharField(_("fate"), max_length=8, default="", db_default="", blank=True)
    value = PayloadField(_("value"), null=True, blank=True)

    class Meta:
        verbose_name = _("dependency")
        verbose_name_plural = _("dependencies")
        indexes = (
            models.Index(fields=["message", "position"], name="djtasks_dependency_message"),
            models.Index(fields=["upstream"], name="djtasks_dependency_upstream"),
        )

    def __str__(self) -> str:
        return f"{self.message} after {self.upstream}"
