"""Send a task from the admin: a form made of what its body takes, empty or filled in from another task."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import Parameter
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext_lazy as _

from djtasks.admin.audit import record
from djtasks.admin.choosing import complaint_about, names_to_choose
from djtasks.admin.tasks.verbs import MoveForm, was_handed_more
from djtasks.domain import payloads
from djtasks.domain.escaping import one_line
from djtasks.exceptions import DecodeError, DjtasksError
from djtasks.models import Invocation, Task
from djtasks.tasks import registry
from djtasks.tasks.masking import MASK, shown_arguments
from djtasks.tasks.resending import REPRESENTATIONS, send_by
from djtasks.tasks.task import Task as RegisteredTask

if TYPE_CHECKING:
    from djtasks.admin.tasks.admin import TaskAdmin

COUNTDOWN = "countdown"
# Names of parameters may be those of options.
PREFIX = "argument_"
FLEXIBLE: Mapping[Any, Any] = {Parameter.VAR_POSITIONAL: list, Parameter.VAR_KEYWORD: dict}
STARS: Mapping[Any, str] = {Parameter.VAR_POSITIONAL: "*", Parameter.VAR_KEYWORD: "**"}


class ValueField(forms.CharField):
    """A value as JSON; what is no JSON is a text."""

    def prepare_value(self, value: Any) -> Any:
        """Write a value so that it is read as the same one."""
        if isinstance(value, str) and _read(value) == value:
            return value
        return value if value is None else payloads.encode(value, where="value")


class SendForm(MoveForm):
    """How a task is called, and where it is to stand."""

    field_order = ()
    countdown = forms.FloatField(label=_("Seconds to wait"), required=False, min_value=0)

    def __init__(self, task: RegisteredTask, known: Mapping[str, Any], *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.task = task
        self._known = known
        own = dict(self.fields)
        self.fields.clear()
        for name, parameter in task.parameters.items():
            self.fields[PREFIX + name] = _field(name, parameter)
        self.fields.update(own)

    def clean(self) -> dict[str, Any]:
        """Put the arguments together as the body takes them, and ask the task whether it could be called so."""
        cleaned = self.cleaned_data
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        for name, parameter in self.task.parameters.items():
            text = cleaned.get(PREFIX + name) or ""
            if not text:
                continue
            value = self._known.get(name) if text == MASK and name in self._known else _read(text)
            self._add(parameter, value, args, kwargs)
        if not self.errors:
            try:
                self.task.check_arguments(tuple(args), kwargs)
            except TypeError as error:
                self.add_error(None, str(error))
        return {**cleaned, "args": args, "kwargs": kwargs}

    def _add(self, parameter: Parameter, value: Any, args: list[Any], kwargs: dict[str, Any]) -> None:
        kind = FLEXIBLE.get(parameter.kind)
        if kind is not None and not isinstance(value, kind):
            self.add_error(PREFIX + parameter.name, _("This is a list or an object in JSON."))
        elif parameter.kind is Parameter.VAR_KEYWORD:
            kwargs.update(value)
        elif parameter.kind is Parameter.VAR_POSITIONAL:
            args.extend(value)
        elif parameter.kind is Parameter.KEYWORD_ONLY:
            kwargs[parameter.name] = value
        elif parameter.kind is Parameter.POSITIONAL_ONLY or _has_rest(self.task):
            args.append(value)
        else:
            kwargs[parameter.name] = value


def send_view(admin: TaskAdmin, request: HttpRequest) -> HttpResponse:
    """Ask for a task, then for its arguments, and send it."""
    if not admin.has_view_permission(request) or not admin.has_enqueue_permission(request):
        raise PermissionDenied
    source = admin.find(request, request.GET.get("like", ""))
    row = source.row if source is not None and admin.has_payload_permission(request) else None
    name = row.task if row else request.GET.get("task", "")
    complaint = complaint_about(name) if name else ""
    task = None if complaint else registry.find(name)
    form = None
    if task is not None:
        known, shown = _arguments(row) if row else ({}, {})
        initial = {PREFIX + name: value for name, value in shown.items()}
        standing = {"queue": row.queue, "priority": row.priority} if row else {}
        form = SendForm(task, known, request.POST or None, initial={**standing, **initial})
        if request.method == "POST" and form.is_valid() and (answer := _send(request, form, row)):
            return answer
    context = {
        **admin.admin_site.each_context(request),
        "title": _("Send a task"),
        "opts": admin.opts,
        "media": admin.media,
        # A template calls what can be called: the task itself must not get there.
        "name": task.name if task else "",
        "form": form,
        "names": list(names_to_choose()),
        "complaint": f"{one_line(name)}: {complaint}" if complaint else "",
    }
    return TemplateResponse(request, "admin/djtasks/task/send.html", context)


def _send(request: HttpRequest, form: SendForm, like: Invocation | None) -> HttpResponse | None:
    given = form.cleaned_data
    options = {name: given[name] for name in ("queue", "priority", COUNTDOWN) if given[name] is not None}
    try:
        operator = request.user.get_username()
        handle = send_by(operator, form.task.name, given["args"], given["kwargs"], options, like)
    except (DjtasksError, TypeError, ValueError) as error:
        form.add_error(None, str(error))
        return None
    with translation.override(None):
        record(request, Task, [(handle.id, f"{form.task.name} {handle.id}")], str(_("Sent")))
    messages.success(request, f"{_('Sent')}: {form.task.name}")
    return HttpResponseRedirect(reverse("admin:djtasks_task_change", args=[handle.id]))


def _arguments(row: Invocation) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the arguments of a task by the names of parameters: as they are, and as they may be shown (S10)."""
    if was_handed_more(row):
        return {}, {}
    known = _named(row.task, row.args, row.kwargs)
    options: dict[str, Any] = row.options if isinstance(row.options, dict) else {}
    if options.keys() & REPRESENTATIONS:
        # Something else is to be shown in their place, but what that says is not to be sent.
        return known, dict.fromkeys(known, MASK)
    return known, _named(row.task, *shown_arguments(row.task, row.args, row.kwargs, options))


def _named(name: str, args: Any, kwargs: Any) -> dict[str, Any]:
    task = registry.get(name)
    if args == MASK or kwargs == MASK:
        return dict.fromkeys(task.parameters, MASK)
    if not isinstance(args, (list, tuple)) or not isinstance(kwargs, Mapping):
        return {}
    named: dict[str, Any] = {}
    rest, more = list(args), dict(kwargs)
    for parameter in task.parameters.values():
        if parameter.kind is Parameter.VAR_POSITIONAL and rest:
            named[parameter.name], rest = rest, []
        elif parameter.kind is Parameter.VAR_KEYWORD and more:
            named[parameter.name] = more
        elif rest and parameter.kind not in (Parameter.KEYWORD_ONLY, *FLEXIBLE):
            named[parameter.name] = rest.pop(0)
        elif parameter.name in more:
            named[parameter.name] = more.pop(parameter.name)
    return named


def _field(name: str, parameter: Parameter) -> ValueField:
    stars = STARS.get(parameter.kind, "")
    has_default = parameter.default is not Parameter.empty
    return ValueField(
        label=f"{stars}{name}",
        required=not has_default and not stars,
        help_text=_("Default: %s") % repr(parameter.default)[:80] if has_default else "",
    )


def _has_rest(task: RegisteredTask) -> bool:
    return any(each.kind is Parameter.VAR_POSITIONAL for each in task.parameters.values())


def _read(text: str) -> Any:
    try:
        return payloads.decode(text)
    except DecodeError:
        return text
