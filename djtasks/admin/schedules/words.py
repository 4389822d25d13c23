"""Rules in words, as far as there are any."""

from __future__ import annotations

from django.utils.translation import get_language
from django.utils.translation import gettext as _

from djtasks.domain.schedules.rules import CLOCKED, CRON, CRONTAB, INTERVAL
from djtasks.models import Schedule

try:
    import cron_descriptor
except ImportError:
    cron_descriptor = None


def in_words(schedule: Schedule) -> str:
    """Say when a schedule is due; nothing where nobody could say it better than the rule itself."""
    if schedule.kind == INTERVAL:
        return _("Every %s") % schedule.expression
    if schedule.kind == CLOCKED:
        return _("Once, at %s") % schedule.expression
    if schedule.kind in (CRON, CRONTAB) and cron_descriptor is not None:
        return _described(schedule.expression)
    return ""


def _described(expression: str) -> str:
    options = cron_descriptor.Options()
    options.locale_code = (get_language() or "en").replace("-", "_")
    options.use_24hour_time_format = True
    try:
        return str(cron_descriptor.get_description(expression, options=options))
    except Exception:
        # It knows fewer rules than beats do.
        return ""
