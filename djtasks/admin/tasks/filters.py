"""The filters beside the list of tasks: words that people choose or type; what they mean say the criteria."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from djtasks.admin.tasks.states import LABELS
from djtasks.broker.queues import names_of_queues
from djtasks.conf import settings
from djtasks.models import Message, Schedule, Worker
from djtasks.tasks import registry

MOST_SUGGESTED = 200


class WordFilter(admin.SimpleListFilter):
    """A choice that is read from the address by the criteria."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Leave the rows alone."""


class TypedFilter(WordFilter):
    """A text that is typed, with suggestions."""

    template = "admin/djtasks/typed_filter.html"

    def has_output(self) -> bool:
        return True

    def choices(self, changelist: Any) -> Iterator[Any]:
        """Yield what the form needs: where to go without it, and the other filters."""
        others = changelist.filter_params.items()
        yield {
            "without": changelist.get_query_string(remove=[self.parameter_name]),
            "others": [(name, value) for name, values in others for value in values if name != self.parameter_name],
            "list_id": f"djtasks-{self.parameter_name}-names",
        }


class StateFilter(WordFilter):
    """Filter by state, of the living and of the ended."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        """Name the states."""
        return LABELS.items()


class TimeFilter(WordFilter):
    """Filter by when it was sent."""

    title = _("sent")
    parameter_name = "within"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        """Name spans of time by their seconds."""
        return (
            ("900", _("Past 15 minutes")),
            ("3600", _("Past hour")),
            ("86400", _("Past 24 hours")),
            ("604800", _("Past 7 days")),
        )


class NameFilter(TypedFilter):
    """Filter by the task's name."""

    title = _("task name")
    parameter_name = "task"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        """Suggest the tasks that are known here."""
        return [(name, name) for name in registry.names()]


class QueueFilter(TypedFilter):
    """Filter by queue."""

    title = _("queue")
    parameter_name = "queue"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        """Suggest the queues in which there is something to see."""
        live = model_admin.visible(request, Message.objects.using(settings.DATABASE))
        return [(name, name) for name in names_of_queues() if live.filter(queue=name).exists()]


class WorkerFilter(TypedFilter):
    """Filter by the worker that holds it, or that has ended it."""

    title = _("worker")
    parameter_name = "worker"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        """Suggest the workers that are there."""
        names = Worker.objects.using(settings.DATABASE).order_by("name").values_list("name", flat=True)
        return [(name, name) for name in names[:MOST_SUGGESTED]]


class ScheduleFilter(TypedFilter):
    """Filter by the schedule for whose slots it was made."""

    title = _("schedule")
    parameter_name = "schedule"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        """Suggest the schedules."""
        names = Schedule.objects.using(settings.DATABASE).order_by("name").values_list("name", flat=True)
        return [(name, name) for name in names[:MOST_SUGGESTED]]


class WorkflowFilter(TypedFilter):
    """Filter by the id of the task, or group, with which it belongs together."""

    title = _("workflow")
    parameter_name = "workflow"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        """Suggest nothing."""
        return ()


FILTERS = (StateFilter, TimeFilter, NameFilter, QueueFilter, WorkerFilter, ScheduleFilter, WorkflowFilter)
