"""The workflow around a task as a picture, and as a list for who cannot see it: no scripts, no styles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from uuid import UUID

from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from djtasks.admin.tasks.seen import Seen
from djtasks.admin.tasks.states import LABELS, SHAPES, kind_of
from djtasks.admin.tasks.workflow.around import CAME_OF, Surroundings
from djtasks.admin.tasks.workflow.layers import in_layers
from djtasks.domain.escaping import one_line
from djtasks.domain.workflows import END, FAILURE

WIDTH, HEIGHT = 190, 40
ACROSS, DOWN = 90, 14
EDGE = 6
BEND = ACROSS // 2
MOST_LETTERS = 25
MOST_ABOVE = 6
MOST_NAMED = 5
CONDITIONS: Mapping[str, Any] = {FAILURE: gettext_lazy("on failure"), END: gettext_lazy("at its end")}
ARROW = SafeString(
    '<defs><marker id="djtasks-arrow" viewBox="0 0 6 6" refX="6" refY="3" markerWidth="6" markerHeight="6" '
    'orient="auto"><path d="M0 0L6 3L0 6z"></path></marker></defs>'
)
HERE = SafeString(' aria-current="true"')


class Step(NamedTuple):
    """A task of the workflow, and what came before it, each with the condition if there is one."""

    task: Seen
    before: list[tuple[Seen, str]]
    more: int


class Place(NamedTuple):
    """Where a node stands."""

    x: int
    y: int

    @property
    def middle(self) -> int:
        """How far down links arrive and leave."""
        return self.y + HEIGHT // 2


def picture(surroundings: Surroundings, here: UUID) -> SafeString:
    """Draw tasks in layers from left to right, and the links between them."""
    places = _places(surroundings)
    right, bottom = (max(values) for values in zip(*places.values(), strict=True))
    links = format_html_join("", "{}", ((_link(places, *link),) for link in surroundings.links.items()))
    nodes = format_html_join("", "{}", ((_node(task, places[task.pk], here),) for task in surroundings.tasks))
    width, height = right + WIDTH + EDGE, bottom + HEIGHT + EDGE
    return format_html(
        '<svg class="djtasks-workflow" width="{}" height="{}" viewBox="0 0 {} {}" role="group" aria-label="{}">'
        "{}{}{}</svg>",
        *(width, height, width, height, _("The workflow"), ARROW, links, nodes),
    )


def steps(surroundings: Surroundings) -> Iterator[Step]:
    """Tell the same in the order of the picture."""
    tasks = {task.pk: task for task in surroundings.tasks}
    for layer in in_layers(list(tasks), surroundings.links):
        for pk in layer:
            before = [
                (tasks[upstream], str(CONDITIONS.get(condition, "")))
                for (upstream, node), condition in surroundings.links.items()
                if node == pk
            ]
            yield Step(tasks[pk], before[:MOST_NAMED], max(0, len(before) - MOST_NAMED))


def _places(surroundings: Surroundings) -> dict[UUID, Place]:
    """Put the middles of layers at one height; but next to a tall one what is short stays in sight."""
    layers = in_layers([task.pk for task in surroundings.tasks], surroundings.links)
    most = max(map(len, layers))
    return {
        pk: Place(
            EDGE + (WIDTH + ACROSS) * column,
            EDGE + (HEIGHT + DOWN) * row + (HEIGHT + DOWN) * min(most - len(layer), MOST_ABOVE) // 2,
        )
        for column, layer in enumerate(layers)
        for row, pk in enumerate(layer)
    }


def _link(places: Mapping[UUID, Place], link: tuple[UUID, UUID], condition: str) -> SafeString:
    start, end = (places[pk] for pk in link)
    x = start.x + WIDTH
    line = format_html(
        '<path class="djtasks-link{}" d="{}" marker-end="url(#djtasks-arrow)"></path>',
        " djtasks-came-of" if condition == CAME_OF else "",
        f"M{x} {start.middle}C{x + BEND} {start.middle} {end.x - BEND} {end.middle} {end.x} {end.middle}",
    )
    if condition not in CONDITIONS:
        return line
    return format_html(
        '{}<text class="djtasks-condition" x="{}" y="{}" text-anchor="middle">{}</text>',
        *(line, (x + end.x) // 2, (start.middle + end.middle) // 2 - 4, CONDITIONS[condition]),
    )


def _node(task: Seen, place: Place, here: UUID) -> SafeString:
    return format_html(
        '<a href="{}" class="djtasks-node djtasks-state-{}"{}><title>{} {}</title>'
        '<rect x="{}" y="{}" width="{}" height="{}" rx="4"></rect><text x="{}" y="{}">{}</text>'
        '<text x="{}" y="{}" class="djtasks-word">{} {}</text></a>',
        reverse("admin:djtasks_task_change", args=[task.pk]),
        kind_of(task.label),
        HERE if task.pk == here else "",
        *(task.name, task.pk, place.x, place.y, WIDTH, HEIGHT),
        *(place.x + 9, place.y + 17, _end_of(task.name)),
        *(place.x + 9, place.y + 32, SHAPES.get(task.label, "◇"), LABELS.get(task.label, one_line(task.label)[:20])),
    )


def _end_of(name: str) -> str:
    return name if len(name) <= MOST_LETTERS else f"…{name[1 - MOST_LETTERS :]}"
