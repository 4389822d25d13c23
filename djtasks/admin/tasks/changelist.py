"""Django's list, filled with messages and results alike, and never counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest

from djtasks.admin.tasks.criteria import Criteria, criteria_of
from djtasks.admin.tasks.listing import Page
from djtasks.admin.tasks.seen import seen
from djtasks.domain.identifiers import as_uuid

if TYPE_CHECKING:
    from djtasks.admin.tasks.admin import TaskAdmin

BEFORE = "before"
AFTER = "after"


class TaskList(ChangeList):
    """The list of tasks: a page goes on from an id."""

    model_admin: TaskAdmin
    page: Page
    criteria: Criteria
    _bounds: dict[str, UUID]

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        """Read what is asked for; the rows are read from both tables afterwards."""
        try:
            self._bounds = {name: as_uuid(self.params[name]) for name in (BEFORE, AFTER) if name in self.params}
            self.criteria = criteria_of(self.params)
        except (OverflowError, ValueError) as error:
            raise IncorrectLookupParameters(error) from error
        # Who chooses another filter begins anew.
        for given in (self.params, self.filter_params):
            for name in (BEFORE, AFTER):
                given.pop(name, None)
        self.filter_specs, self.has_filters, remaining, _duplicates, self.has_active_filters = self.get_filters(request)
        if remaining:
            raise IncorrectLookupParameters(f"there is no filter {next(iter(remaining))!r}")
        self.clear_all_filters_qs = self.get_query_string(remove=self.get_filters_params())
        return self.root_queryset.none()

    def get_results(self, request: HttpRequest) -> None:
        """Read one page."""
        listing = self.model_admin.listing(request, self.criteria)
        self.page = listing.page(self._bounds.get(BEFORE), self._bounds.get(AFTER), self.list_per_page)
        self.result_list = list(seen(self.page.tasks))
        self.result_count = self.full_result_count = len(self.result_list)
        self.show_admin_actions = True
        self.can_show_all, self.multi_page = True, False
        self.paginator = Paginator(self.result_list, self.list_per_page)

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        """Keep the order of ids, which is that in which tasks were sent."""
        return []

    @property
    def newest_link(self) -> str:
        """The first page, where this is another one."""
        return self.get_query_string() if self._bounds else ""

    @property
    def newer_link(self) -> str:
        """The page before this one."""
        return self.get_query_string({AFTER: self.page.newer}) if self.page.newer else ""

    @property
    def older_link(self) -> str:
        """The page after this one."""
        return self.get_query_string({BEFORE: self.page.older}) if self.page.older else ""
