"""Durations and sizes in few words."""

from __future__ import annotations

from datetime import timedelta

from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _


def in_words(duration: timedelta | None) -> str:
    """Write a duration as people say it, with the two units that matter."""
    if duration is None:
        return ""
    seconds = duration.total_seconds()
    if seconds < 1:
        return _("%(count)d ms") % {"count": round(seconds * 1000)}
    if seconds < 60:
        return _("%(count).1f s") % {"count": seconds}
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return _two(_("%d min") % minutes, _("%d s") % rest, rest)
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return _two(_("%d h") % hours, _("%d min") % minutes, minutes)
    days, hours = divmod(hours, 24)
    return _two(_("%d d") % days, _("%d h") % hours, hours)


def roughly(duration: timedelta) -> str:
    """Write a duration with one unit, where there is little room."""
    seconds = int(max(timedelta(), duration).total_seconds())
    for size, unit in ((86400, _("%d d")), (3600, _("%d h")), (60, _("%d min"))):
        if seconds >= size:
            return unit % (seconds // size)
    return _("%d s") % seconds


def size_of(kib: int | None) -> str:
    """Write so much memory; nothing where it is not known."""
    return filesizeformat(1024 * kib) if kib else ""


def _two(large: str, small: str, rest: int) -> str:
    return f"{large} {small}" if rest else large
