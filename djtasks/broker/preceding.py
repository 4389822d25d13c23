"""Find what has to end before messages can run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from uuid import UUID

from django.db.models import Q

from djtasks.conf import settings
from djtasks.domain.batches import batches
from djtasks.domain.workflows import END, OPEN, SUCCESS
from djtasks.models import Dependency

BATCH = 1000


def preceding(ids: Collection[UUID]) -> list[UUID]:
    """Return what is still to end before these can run, and serves nobody else, in the order of ids.

    Who waits for a failure is not served by it, nor who only waits for an end and takes nothing from it.
    """
    serving = Q(on=SUCCESS) | Q(on=END, position__isnull=False)
    edges = Dependency.objects.using(settings.DATABASE).filter(serving, fate=OPEN)
    ours = fresh = set(ids)
    while fresh:
        found: set[UUID] = set()
        for some in batches(fresh, BATCH):
            found.update(edges.filter(message__in=some).values_list("upstream", flat=True))
        fresh = found - ours
        ours = ours | fresh
    before = ours - set(ids)
    served: dict[UUID, set[UUID]] = defaultdict(set)
    for some in batches(before, BATCH):
        for upstream, message in edges.filter(upstream__in=some).values_list("upstream", "message"):
            served[upstream].add(message)
    while others := {each for each in before if not served[each] <= ours}:
        before, ours = before - others, ours - others
    return sorted(before)
