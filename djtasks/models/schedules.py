"""Schedules, whose messages beats make, and the slots for which they were made."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

from django.conf import settings as django_settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Concat
from django.utils.translation import gettext_lazy as _

from djtasks.conf import settings
from djtasks.domain.identifiers import (
    QUEUE_NAME_LENGTH,
    TASK_NAME_LENGTH,
    check_priority,
    check_queue_name,
    check_task_name,
)
from djtasks.domain.schedules import texts
from djtasks.domain.schedules.catching_up import MISSED, OVERLAPS
from djtasks.domain.schedules.rules import FOLDS, KINDS, Rule
from djtasks.models.clock import Now
from djtasks.models.fields import PayloadField

if TYPE_CHECKING:
    QuerySet = models.QuerySet["Schedule"]
else:
    QuerySet = models.QuerySet

# Who changes one of these changes which slots there are: from then on.
RULE_FIELDS = frozenset({"kind", "expression", "timezone", "fold", "start_at", "enabled"})

# What beats write, under the lock of the row, and nobody else.
PROGRESS_FIELDS = frozenset(
    {"planned", "planned_start_at", "since", "next_run_at", "last_run_at", "runs", "recent", "error", "failed_at"}
)
PLAN_AGAIN: dict[str, Any] = {"planned": "", "since": Now(), "next_run_at": None}

# What is planned for a schedule that somebody has disabled, and for one that a beat has, because no slot is left or its
# rule cannot be read. Whoever enables it, and however, it begins anew.
NOTHING = DISABLED, ENDED = ("disabled", "ended")


def choices(words: Iterable[str]) -> list[tuple[str, str]]:
    return [(word, word) for word in words]


def default_timezone() -> str:
    """Return the name of the zone in which rules are read that name none."""
    return settings.TIMEZONE or django_settings.TIME_ZONE


class ScheduleQuerySet(QuerySet):
    """Schedules; whoever changes when some are due has them planned anew."""

    def update(self, **changes: Any) -> int:
        return super().update(**(changes if RULE_FIELDS.isdisjoint(changes) else {**PLAN_AGAIN, **changes}))

    update.alters_data = True  # type: ignore[attr-defined]

    def unplanned(self) -> Self:
        """Those whose next slot follows from something else than is in their row, whoever has changed it, and how."""
        zone = Case(When(timezone="", then=Value(default_timezone())), default="timezone")
        rule = Concat("kind", Value("|"), "expression", Value("|"), zone, Value("|"), "fold")
        start = F("planned_start_at")
        another_start = Q(start_at__lt=start) | Q(start_at__gt=start)
        another_start |= Q(start_at__isnull=True) ^ Q(planned_start_at__isnull=True)
        return self.filter(
            Q(enabled=True) & (~Q(planned=rule) | another_start) | Q(enabled=False) & ~Q(planned__in=NOTHING)
        )


class Schedule(models.Model):
    """A rule that says when messages of a task are to be made, and what is to be in them.

    Changes count from the moment they are made: nothing is sent for the past because a schedule was made, switched on
    or given another rule (D6).
    """

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(_("name"), max_length=200, unique=True)
    description = models.TextField(_("description"), default="", db_default="", blank=True)
    task = models.CharField(_("task"), max_length=TASK_NAME_LENGTH)
    args = PayloadField(_("arguments"), default=list, db_default=[], blank=True)
    kwargs = PayloadField(_("keyword arguments"), default=dict, db_default={}, blank=True)
    queue = models.CharField(_("queue"), max_length=QUEUE_NAME_LENGTH, default="", db_default="", blank=True)
    priority = models.SmallIntegerField(_("priority"), null=True, blank=True)
    headers = PayloadField(_("headers"), default=dict, db_default={}, blank=True)
    lifetime = models.FloatField(_("seconds until its messages expire"), null=True, blank=True)
    options = PayloadField(_("other options of the call"), default=dict, db_default={}, blank=True)

    kind = models.CharField(_("kind"), max_length=16, choices=choices(KINDS))
    expression = models.CharField(_("expression"), max_length=256)
    timezone = models.CharField(_("time zone"), max_length=64, default="", db_default="", blank=True)
    fold = models.CharField(
        _("of a time that comes twice"), max_length=8, choices=choices(FOLDS), default=FOLDS[0], db_default=FOLDS[0]
    )
    enabled = models.BooleanField(_("enabled"), default=True, db_default=True)
    one_off = models.BooleanField(_("one-off"), default=False, db_default=False)
    start_at = models.DateTimeField(_("not before"), null=True, blank=True)
    end_at = models.DateTimeField(_("not after"), null=True, blank=True)

    missed = models.CharField(
        _("missed runs"), max_length=8, choices=choices(MISSED), default="once", db_default="once"
    )
    missed_limit = models.PositiveIntegerField(_("most missed runs to make up for"), default=100, db_default=100)
    grace = models.FloatField(_("seconds that a run may be late"), null=True, blank=True)
    overlap = models.CharField(
        _("while the run before goes on"), max_length=8, choices=choices(OVERLAPS), default="allow", db_default="allow"
    )
    jitter = models.FloatField(_("most seconds to spread runs over"), default=0.0, db_default=0.0)

    # Where it was declared: "" by hand, "settings", or "code" beside its task.
    source = models.CharField(_("declared in"), max_length=8, default="", db_default="", blank=True, editable=False)
    # Its arguments are made when it is sent, by the code that declares it (BEAT-9).
    lazy = models.BooleanField(_("arguments are made when sent"), default=False, db_default=False, editable=False)

    planned = models.CharField(max_length=360, default="", db_default="", editable=False)
    planned_start_at = models.DateTimeField(null=True, editable=False)
    since = models.DateTimeField(_("slots count from"), db_default=Now(), editable=False)
    next_run_at = models.DateTimeField(_("next run"), null=True, editable=False)
    last_run_at = models.DateTimeField(_("last run"), null=True, editable=False)
    runs = models.BigIntegerField(_("runs"), default=0, db_default=0, editable=False)
    recent = PayloadField(_("its latest messages"), default=list, db_default=[], editable=False)
    error = models.TextField(_("error"), default="", db_default="", editable=False)
    failed_at = models.DateTimeField(_("failed at"), null=True, editable=False)

    objects = models.Manager.from_queryset(ScheduleQuerySet)()

    class Meta:
        verbose_name = _("schedule")
        verbose_name_plural = _("schedules")
        permissions = (("run_schedule", "Can send what schedules send, at once"),)
        indexes = (models.Index(fields=["next_run_at"], name="djtasks_schedule_next", condition=Q(enabled=True)),)

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, update_fields: Iterable[str] | None = None, **options: Any) -> None:
        """Save what people decide, and nothing of what beats write; raises ValueError for what they could not read."""
        self.check_values()
        replans = self._stored_rule is None or self._rule_values() != self._stored_rule
        if replans:
            vars(self).update(PLAN_AGAIN)
        if not self._state.adding:
            decided = set(self._decided() if update_fields is None else update_fields)
            update_fields = decided - PROGRESS_FIELDS | (set(PLAN_AGAIN) if replans else set())
        super().save(*args, update_fields=update_fields, **options)
        self._stored_rule = self._rule_values()
        # Written as an expression, it is read anew when it is asked for.
        if replans:
            vars(self).pop("since", None)

    def clean(self) -> None:
        """Raise ValidationError for what beats could not work with."""
        try:
            self.check_values()
        except ValueError as error:
            raise ValidationError(str(error)) from error

    @property
    def rule(self) -> Rule:
        """The rule, in the zone in which it is read; raises ValueError where it cannot be read."""
        return texts.rule_of(self.kind, self.expression, self.timezone or default_timezone(), self.fold)

    @property
    def plan(self) -> str:
        """What the next slot follows from, as ``ScheduleQuerySet.unplanned`` compares it."""
        return "|".join((self.kind, self.expression, self.timezone or default_timezone(), self.fold))

    @property
    def is_planned(self) -> bool:
        """Whether its next slot follows from what is in its row."""
        return self.enabled and (self.planned, self.planned_start_at) == (self.plan, self.start_at)

    def set_rule(self, rule: Rule) -> None:
        """Take over a rule that was written in Python."""
        self.kind, self.expression, self.timezone = rule.kind, rule.expression, rule.timezone

    @classmethod
    def from_db(cls, *args: Any, **options: Any) -> Self:
        """Remember the rule that is in the table, to know whether a save changes it."""
        schedule = super().from_db(*args, **options)
        schedule._stored_rule = schedule._rule_values()
        return schedule

    _stored_rule: dict[str, Any] | None = None

    def _rule_values(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name in RULE_FIELDS}

    def _decided(self) -> set[str]:
        deferred = self.get_deferred_fields()
        return {field.attname for field in self._meta.concrete_fields if not field.primary_key} - deferred

    def check_values(self) -> None:
        """Raise ValueError for what beats could not work with."""
        if not isinstance(self.args, (list, tuple)) or not isinstance(self.kwargs, dict):
            raise ValueError(f"schedule {self.name!r}: args is a list, and kwargs a dict")
        if not isinstance(self.headers, dict) or not isinstance(self.options, dict):
            raise ValueError(f"schedule {self.name!r}: headers and options are dicts")
        for name, words in (("missed", MISSED), ("overlap", OVERLAPS)):
            if getattr(self, name) not in words:
                raise ValueError(f"schedule {self.name!r}: {name} is one of {', '.join(words)}")
        if (
            self.jitter < 0
            or (self.grace or 0) < 0
            or (self.lifetime is not None and self.lifetime <= 0)
            or self.missed_limit < 1
        ):
            raise ValueError(f"schedule {self.name!r}: jitter, grace, lifetime and missed_limit count from 0, or 1")
        try:
            check_task_name(self.task)
            check_queue_name(self.queue or "default")
            check_priority(self.priority or 0)
            self.rule  # noqa: B018, it is read
        except (TypeError, ValueError) as error:
            raise ValueError(f"schedule {self.name!r}: {error}") from error


class Slot(models.Model):
    """A moment for which a schedule was due: it is taken once, whoever else has the same idea (G7)."""

    id = models.BigAutoField(primary_key=True)
    schedule = models.ForeignKey(Schedule, models.CASCADE, related_name="slots", verbose_name=_("schedule"))
    due_at = models.DateTimeField(_("due at"))
    made_at = models.DateTimeField(_("made at"), db_default=Now())
    message = models.UUIDField(_("message"), null=True, blank=True)
    # Why there is no message: "overlap", "error".
    passed_over = models.CharField(_("passed over"), max_length=8, default="", db_default="", blank=True)

    class Meta:
        verbose_name = _("slot")
        verbose_name_plural = _("slots")
        constraints = (models.UniqueConstraint(fields=["schedule", "due_at"], name="djtasks_slot_once"),)
        indexes = (models.Index(fields=["made_at"], name="djtasks_slot_age"),)

    def __str__(self) -> str:
        return f"{self.schedule_id} at {self.due_at}"
