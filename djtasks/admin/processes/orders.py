"""What operators tell workers to do, through the remote control, and what these answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from djtasks.admin.audit import record
from djtasks.admin.confirming import is_confirmed, question
from djtasks.admin.texts import as_text
from djtasks.domain.identifiers import check_queue_name
from djtasks.models import Worker
from djtasks.tasks.remote.asking import ask

if TYPE_CHECKING:
    from djtasks.admin.processes.admin import WorkerAdmin

PATIENCE = 3.0
MOST_SLOTS = 1000
MISSING: Mapping[str, Any] = {
    "no answer": gettext_lazy("has not answered yet; what it was told stays for it"),
    "dead": gettext_lazy("gives no sign of life, and was told nothing"),
    "unknown": gettext_lazy("is not there any more"),
}


class SlotsForm(forms.Form):
    """By how many slots."""

    n = forms.IntegerField(label=gettext_lazy("Slots"), initial=1, min_value=1, max_value=MOST_SLOTS)


class QueueForm(forms.Form):
    """Which queue."""

    queue = forms.CharField(label=gettext_lazy("Queue"))

    def clean_queue(self) -> str:
        """Refuse what is no name for a queue."""
        try:
            return check_queue_name(self.cleaned_data["queue"])
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error


class Order(NamedTuple):
    """A verb of the remote control, what is asked before, and with what."""

    verb: str
    label: Any
    question: Any
    form: type[forms.Form] | None = None


def give(admin: WorkerAdmin, request: HttpRequest, order: Order, workers: Iterable[Worker]) -> HttpResponse | None:
    """Ask whether to do it, and once that is confirmed tell these workers, and say what they answered."""
    chosen = list(workers)
    confirmed = is_confirmed(request)
    form = order.form(request.POST if confirmed else None) if order.form else None
    if not confirmed or (form and not form.is_valid()):
        return question(admin, request, title=order.label, text=order.question, names=chosen, form=form)
    given = form.cleaned_data if form else {}
    try:
        replies = ask(order.verb, given, [worker.pk for worker in chosen], PATIENCE, lasting=True)
    except RuntimeError as error:
        messages.error(request, str(error))
        return None
    for name, answer in sorted(replies.answers.items()):
        level = messages.ERROR if name in replies.failed else messages.SUCCESS
        messages.add_message(request, level, f"{order.label}: {name}: {_said(answer)}")
    for name, reason in sorted(replies.missing.items()):
        messages.warning(request, f"{order.label}: {name}: {MISSING.get(reason, reason)}")
    with translation.override(None):
        details = ", ".join(f"{name}={value}" for name, value in given.items())
        what = f"{order.label}{f' ({details})' if details else ''}"
        record(request, Worker, ((worker.pk, worker.name) for worker in chosen), what)
    return None


def _said(answer: Any) -> str:
    if isinstance(answer, dict) and len(answer) == 1:
        (answer,) = answer.values()
    return as_text(answer)


ORDERS: Mapping[str, Order] = {
    order.verb: order
    for order in (
        Order("pool_grow", gettext_lazy("Add slots"), gettext_lazy("Add slots to these workers?"), SlotsForm),
        Order(
            "pool_shrink",
            gettext_lazy("Take slots away"),
            gettext_lazy("Take slots from these workers? What runs in them ends first."),
            SlotsForm,
        ),
        Order(
            "pool_restart",
            gettext_lazy("Restart the pool"),
            gettext_lazy("Replace the processes of these workers, each when it is free, so that they load new code?"),
        ),
        Order(
            "add_consumer",
            gettext_lazy("Serve a queue"),
            gettext_lazy("Let these workers serve a queue, too, until they are restarted?"),
            QueueForm,
        ),
        Order(
            "cancel_consumer",
            gettext_lazy("Serve a queue no longer"),
            gettext_lazy("Let these workers serve a queue no longer, until they are restarted?"),
            QueueForm,
        ),
        Order(
            "shutdown",
            gettext_lazy("Shut down"),
            gettext_lazy("Stop these workers? What runs ends first, and what they only hold is given back."),
        ),
    )
}


def served(worker: Worker) -> str:
    """Name the queues that a worker serves."""
    excluded = [str(name) for name in worker.excluded or ()]
    if worker.queues is None:
        return _("all but %s") % ", ".join(excluded) if excluded else _("all")
    return ", ".join(str(name) for name in worker.queues)
