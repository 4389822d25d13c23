"""Workers and beats in Django's admin."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.translation import gettext_lazy as _

from djtasks.admin.measures import in_words, size_of
from djtasks.admin.overview.queues import standings
from djtasks.admin.processes.orders import ORDERS, Order, give, served
from djtasks.admin.readonly import ReadOnlyAdmin
from djtasks.admin.tasks.admin import TaskAdmin
from djtasks.admin.tasks.listing import everything
from djtasks.beat.health import VANISHED
from djtasks.beat.moments import from_row
from djtasks.broker.vendors import shared_vendor
from djtasks.models import Beat, Task, Worker


def _action(order: Order) -> Callable[..., HttpResponse | None]:
    def action(workers: WorkerAdmin, request: HttpRequest, queryset: QuerySet[Worker]) -> HttpResponse | None:
        return give(workers, request, order, queryset.order_by("name", "pk"))

    action.__name__ = order.verb
    return admin.action(permissions=["control"], description=order.label)(action)


class LivingAdmin(ReadOnlyAdmin):
    """Those who show that they live."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Give all, with the moment at which each was last seen."""
        living: QuerySet[Any] = super().get_queryset(request).annotate(last_seen=shared_vendor().seen)
        return living

    @admin.display(description=_("seen at"), ordering="last_seen")
    def last_seen(self, living: Any) -> datetime:
        """Say when it showed last that it lives."""
        moment: datetime = living.last_seen
        return moment


@admin.register(Worker)
class WorkerAdmin(LivingAdmin):
    """Who works."""

    change_form_template = "admin/djtasks/change_form.html"
    list_display = ("name", "is_alive", "host", "pid", "pool", "slots", "used", "serves", "started_at", "last_seen")
    ordering = ("name",)
    actions = tuple(_action(order) for order in ORDERS.values())
    fields = (
        *("name", "id", "is_alive", "host", "pid", "pool", "slots", "used", "serves"),
        *("started_at", "last_seen", "runs"),
    )
    readonly_fields = ("id", "is_alive", "used", "serves", "last_seen", "runs")

    def has_control_permission(self, request: HttpRequest) -> bool:
        """Say who may tell workers what to do."""
        return request.user.has_perm("djtasks.control_worker")

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        """Offer what it may be told."""
        allowed = self.get_actions(request)
        orders = [(verb, order.label) for verb, order in ORDERS.items() if verb in allowed]
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), "verbs": orders})

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """Find a worker, and note which tasks may be seen: who shows its fields does not know who asks."""
        worker = super().get_object(request, object_id, from_field)
        tasks = self.admin_site.get_model_admin(Task)
        if worker is not None:
            worker.visible = partial(tasks.visible, request) if isinstance(tasks, TaskAdmin) else everything
        return worker

    @admin.display(description=_("alive"), boolean=True)
    def is_alive(self, worker: Worker) -> bool:
        """Say whether it has given a sign of life lately."""
        return not shared_vendor().vanished_workers().filter(pk=worker.pk).exists()

    @admin.display(description=_("memory"))
    def used(self, worker: Worker) -> str:
        """Say how much memory its processes take."""
        return size_of(worker.memory) or "-"

    @admin.display(description=_("queues"))
    def serves(self, worker: Worker) -> str:
        """Name the queues that it serves."""
        return served(worker)

    @admin.display(description=_("runs"))
    def runs(self, worker: Any) -> str:
        """Link what it runs now, as far as that may be seen."""
        now = from_row(shared_vendor().now())
        running = [each for queue in standings(worker.visible) for each in queue.running if each.worker == worker.pk]
        links = (
            (reverse("admin:djtasks_task_change", args=[each.id]), each.task, in_words(now - each.since))
            for each in running
        )
        return format_html_join("", '<div><a href="{}">{}</a> {}</div>', links) or "-"


@admin.register(Beat)
class BeatAdmin(LivingAdmin):
    """Who sends what is due."""

    list_display = ("name", "is_alive", "host", "pid", "started_at", "last_seen")
    fields = ("id", "name", "host", "pid", "worker", "started_at", "last_seen")
    readonly_fields = ("id", "last_seen")
    ordering = ("name",)

    @admin.display(description=_("alive"), boolean=True)
    def is_alive(self, beat: Any) -> bool:
        """Say whether it has given a sign of life lately."""
        return from_row(shared_vendor().now()) - from_row(beat.last_seen) <= VANISHED
