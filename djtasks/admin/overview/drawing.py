"""Small charts as SVG, made here: without scripts, without styles, in the colours of the page."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from djtasks.admin.overview.endings import Bar, Course

HEIGHT = 24
STEP = 3


def chart(course: Course, kind: str) -> SafeString:
    """Draw how many ended over time, and how many of them failed."""
    highest = course.highest or 1
    return format_html(
        '<svg class="djtasks-chart djtasks-{}" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" '
        'aria-label="{}"><path class="djtasks-ended" d="{}"></path><path class="djtasks-failed" d="{}"></path></svg>',
        kind,
        STEP * len(course.bars),
        HEIGHT,
        _("%(ended)d ended, %(failed)d of them failed") % {"ended": course.ended, "failed": course.failed},
        _path([bar.ended for bar in course.bars], highest),
        _path([bar.failed for bar in course.bars], highest),
    )


def _path(heights: Sequence[int], highest: int) -> str:
    """Draw a bar for each number that is above zero."""
    bars = []
    for place, number in enumerate(heights):
        if number:
            height = max(1.0, HEIGHT * number / highest)
            bars.append(f"M{STEP * place} {HEIGHT}v-{height:.1f}h{STEP - 1}v{height:.1f}z")
    return "".join(bars)


def as_table(bars: Sequence[Bar]) -> SafeString:
    """Write the numbers of a chart for who cannot see it."""
    rows = format_html_join("", "<tr><td>{}</td><td>{}</td></tr>", ((bar.ended, bar.failed) for bar in bars))
    head = format_html('<tr><th scope="col">{}</th><th scope="col">{}</th></tr>', _("ended"), _("failed"))
    return format_html("<table><thead>{}</thead><tbody>{}</tbody></table>", head, rows)
