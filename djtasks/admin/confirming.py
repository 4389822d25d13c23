"""The question before a change: what is to be done, and to whom."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.http import HttpRequest
from django.template.response import TemplateResponse

if TYPE_CHECKING:
    from djtasks.admin.readonly import QueueAdmin

CONFIRMED = "confirmed"


def is_confirmed(request: HttpRequest) -> bool:
    """Say whether the question has been answered."""
    return CONFIRMED in request.POST


def question(
    admin: QueueAdmin, request: HttpRequest, *, title: Any, text: Any, names: Iterable[Any] = (), **more: Any
) -> TemplateResponse:
    """Ask whether something is to be done; what was posted is posted again with the answer."""
    repeated = ("action", "index", ACTION_CHECKBOX_NAME, "select_across", "from")
    context = {
        **admin.admin_site.each_context(request),
        "opts": admin.opts,
        "media": admin.media,
        "title": title,
        "text": text,
        "names": list(names),
        "hidden": [(name, value) for name in repeated for value in request.POST.getlist(name)],
        "back": request.get_full_path(),
        **more,
    }
    return TemplateResponse(request, more.get("template", "admin/djtasks/confirmation.html"), context)
