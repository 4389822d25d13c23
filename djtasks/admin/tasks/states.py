"""States for the eye: a word, a shape and a colour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from djtasks.admin.tasks.criteria import ENDED, LIVE
from djtasks.domain import states
from djtasks.domain.escaping import one_line

LABELS: Mapping[str, Any] = {
    LIVE: _("waiting or running"),
    states.READY: _("ready"),
    states.RESERVED: _("reserved"),
    states.RUNNING: _("running"),
    states.DELAYED: _("delayed"),
    states.RETRYING: _("retrying"),
    states.BLOCKED: _("blocked"),
    ENDED: _("ended"),
    states.SUCCESS: _("success"),
    states.FAILURE: _("failure"),
    states.REVOKED: _("revoked"),
}
SHAPES: Mapping[str, str] = {
    states.READY: "○",
    states.RESERVED: "◐",
    states.RUNNING: "●",
    states.DELAYED: "◔",
    states.RETRYING: "↻",
    states.BLOCKED: "◫",
    states.SUCCESS: "✓",
    states.FAILURE: "✕",
    states.REVOKED: "⊘",
}


def kind_of(label: str) -> str:
    """Name the style of a state."""
    return label.lower() if label in SHAPES else "other"


def badge(label: str) -> str:
    """Show a state; one that only a newer version knows, as it stands."""
    return format_html(
        '<span class="djtasks-state djtasks-state-{}" data-state="{}"><span aria-hidden="true">{}</span> {}</span>',
        kind_of(label),
        label,
        SHAPES.get(label, "◇"),
        LABELS.get(label, one_line(label)),
    )
