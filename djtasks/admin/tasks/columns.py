"""The columns of the list of tasks."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.admin.utils import display_for_value
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from djtasks.admin.measures import in_words
from djtasks.admin.tasks.seen import Seen
from djtasks.beat.moments import from_row


class TaskColumns:
    """What is shown of each task."""

    @admin.display(description=_("state"))
    def shown_state(self, task: Seen) -> str:
        """Say the state in text, shape and colour."""
        return task.badge

    @admin.display(description=_("task"))
    def shown_task(self, task: Seen) -> str:
        """Name the task and its id."""
        return format_html('{} <span class="djtasks-id" title="{}">{}</span>', task.name, task.pk, task.short_id)

    @admin.display(description=_("queue"))
    def shown_queue(self, task: Seen) -> str:
        """Name the queue."""
        return task.queue

    @admin.display(description=_("priority"))
    def shown_priority(self, task: Seen) -> int:
        """Give the priority."""
        return task.row.priority

    @admin.display(description=_("attempts"))
    def attempts(self, task: Seen) -> str:
        """Count the attempts, and how many there may be."""
        return task.attempts

    @admin.display(description=_("waited"))
    def waited(self, task: Seen) -> str:
        """Say how long it has been due without being run."""
        return in_words(task.waited)

    @admin.display(description=_("ran"))
    def ran(self, task: Seen) -> str:
        """Say how long its body has run."""
        return in_words(task.ran)

    @admin.display(description=_("worker"))
    def shown_worker(self, task: Seen) -> str:
        """Name the worker that holds it, or that has ended it."""
        return task.worker

    @admin.display(description=_("sent"))
    def sent(self, task: Seen) -> str:
        """Say how long ago it was sent; the moment is told to who points at it."""
        moment = from_row(task.row.enqueued_at)
        exactly = display_for_value(task.row.enqueued_at, "")
        return format_html('<time datetime="{}" title="{}">{}</time>', moment.isoformat(), exactly, task.age)
