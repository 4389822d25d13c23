"""The page of the overview, and the part of it that is fetched again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.core.exceptions import PermissionDenied
from django.forms import Media
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from djtasks.admin.overview.looking import look

if TYPE_CHECKING:
    from djtasks.admin.tasks.admin import TaskAdmin

SECONDS = 5


def overview(admin: TaskAdmin, request: HttpRequest) -> HttpResponse:
    """Show the state of everything."""
    if not admin.has_view_permission(request):
        raise PermissionDenied
    if "fragment" in request.GET:
        return TemplateResponse(request, "admin/djtasks/overview/state.html", look())
    context = {
        **admin.admin_site.each_context(request),
        **look(),
        "title": _("Overview"),
        "opts": admin.opts,
        "media": admin.media + Media(js=["djtasks/refresh.js"]),
        "seconds": SECONDS,
    }
    return TemplateResponse(request, "admin/djtasks/overview/page.html", context)
