"""The form of a schedule: values as JSON, secrets masked and kept, and nothing that no beat could send."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from djtasks.admin.choosing import complaint_about, names_to_choose
from djtasks.domain import payloads
from djtasks.exceptions import DecodeError
from djtasks.models import Schedule
from djtasks.tasks import registry
from djtasks.tasks.masking import MASK, shown_arguments

if TYPE_CHECKING:
    ModelForm = forms.ModelForm[Schedule]
else:
    ModelForm = forms.ModelForm

ARGUMENTS = ("args", "kwargs")
# What a schedule sends, beside where and when.
SENDS = ("task", *ARGUMENTS, "headers", "options")


class PayloadFormField(forms.CharField):
    """A value as JSON text, which people may edit."""

    def prepare_value(self, value: Any) -> Any:
        """Show the value as JSON; what was typed, as it was typed."""
        return value if isinstance(value, str) or value is None else payloads.encode(value, where="value")

    def to_python(self, value: Any) -> Any:
        """Read what was typed; a mask stands for what is behind it."""
        if value == MASK:
            return value
        try:
            return payloads.decode(value) if value else self.empty_value
        except DecodeError as error:
            raise ValidationError(str(error)) from error


class ScheduleForm(ModelForm):
    """What people decide of a schedule.

    Sensitive arguments are masked, and what stays masked stays as it is: but not under another task, which might show
    it.
    """

    # Set by the admin for who may not see arguments at all.
    hides_arguments = False

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._stored = {name: getattr(self.instance, name) for name in ARGUMENTS}
        self._stored_task = self.instance.task
        if "task" in self.fields:
            self.fields["task"].widget = forms.Select(choices=self._choices())
        if self.instance.pk is not None:
            shown = self._shown()
            self.initial.update((name, shown[name]) for name in ARGUMENTS if name in self.fields)

    def clean(self) -> dict[str, Any]:
        """Put back what is masked, and ask the task whether it could be called like this."""
        cleaned: dict[str, Any] = super().clean() or {}
        for name in ARGUMENTS:
            if name in cleaned and _has_mask(cleaned[name]):
                try:
                    cleaned[name] = self._unmasked(name, cleaned)
                except ValueError as error:
                    self.add_error(name, str(error))
        if not self.errors and {"task", *ARGUMENTS} & cleaned.keys():
            self._check_call(cleaned)
        return cleaned

    def _shown(self) -> dict[str, Any]:
        if self.hides_arguments:
            return dict.fromkeys(ARGUMENTS, MASK)
        # What a call is to be shown as says nothing of what is in the form.
        options = {"sensitive": self.instance.options["sensitive"]} if "sensitive" in self._options else {}
        shown = shown_arguments(self.instance.task, self.instance.args, self.instance.kwargs, options)
        return dict(zip(ARGUMENTS, shown, strict=True))

    @property
    def _options(self) -> Mapping[str, Any]:
        return self.instance.options if isinstance(self.instance.options, Mapping) else {}

    def _unmasked(self, name: str, cleaned: Mapping[str, Any]) -> Any:
        if cleaned.get("task", self._stored_task) != self._stored_task:
            raise ValueError(_("What is masked is not handed on to another task: write it anew."))
        return _restored(cleaned[name], self._stored[name])

    def _choices(self) -> list[tuple[str, str]]:
        """Offer what may be chosen, and what it is."""
        names = sorted({*names_to_choose(), self._stored_task})
        return [(name, name or "---------") for name in names]

    def _check_call(self, cleaned: Mapping[str, Any]) -> None:
        args, kwargs = (cleaned.get(name, self._stored[name]) for name in ARGUMENTS)
        name = cleaned.get("task", self._stored_task)
        task, complaint = registry.find(name), complaint_about(name)
        if task is None or (complaint and self._sends_something_else(cleaned)):
            self.add_error("task" if "task" in cleaned else None, complaint)
        elif not self.instance.lazy and isinstance(args, (list, tuple)) and isinstance(kwargs, Mapping):
            try:
                task.check_arguments(tuple(args), kwargs)
            except TypeError as error:
                self.add_error("args" if "args" in self.fields else None, str(error))

    def _sends_something_else(self, cleaned: Mapping[str, Any]) -> bool:
        """Say whether it is to send what it has not sent so far; when it does so may always be changed."""
        return any(name in cleaned and cleaned[name] != getattr(self.instance, name) for name in SENDS)


def _has_mask(value: Any) -> bool:
    if isinstance(value, Mapping):
        return MASK in value.values()
    return value == MASK or (isinstance(value, (list, tuple)) and MASK in value)


def _restored(value: Any, stored: Any) -> Any:
    """Put what is stored in the place of masks."""
    if value == MASK:
        return stored
    if isinstance(value, Mapping) and isinstance(stored, Mapping):
        return {name: stored.get(name, each) if each == MASK else each for name, each in value.items()}
    if isinstance(value, Sequence) and isinstance(stored, Sequence):
        return [stored[at] if each == MASK and at < len(stored) else each for at, each in enumerate(value)]
    raise ValueError(_("What is masked cannot be put back: write it anew."))
