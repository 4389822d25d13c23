"""What becomes of a slot while the run before it goes on: it is looked at once for all schedules of a batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from uuid import UUID

from djtasks.beat.turn import Turn
from djtasks.conf import settings
from djtasks.models import Message
from djtasks.tasks.revoking import revoke

ALLOW, SKIP, ONE, CANCEL = "allow", "skip", "one", "cancel"
OVERLAP = "overlap"
SIGNAL = "SIGTERM"


def restrain(turns: Iterable[Turn]) -> None:
    """Pass over slots that would overlap, or revoke what they would overlap with, as each schedule says."""
    turns = [turn for turn in turns if turn.slots and turn.schedule.overlap != ALLOW]
    living = _living(turns)
    for turn in turns:
        before = {pk: living[pk] for pk in turn.schedule.recent if pk in living}
        free = 1 if turn.schedule.overlap == CANCEL else _free(turn.schedule.overlap, before)
        # Of several the latest, as it is the one that counts.
        for slot in turn.slots[: len(turn.slots) - free]:
            slot.passed_over = OVERLAP
        if turn.schedule.overlap == CANCEL:
            for pk in before:
                revoke(UUID(pk), terminate=SIGNAL)


def _free(overlap: str, before: Mapping[str, bool]) -> int:
    """Say whether there is room for one more run."""
    if overlap == ONE:
        return int(all(before.values()))
    return int(not before)


def _living(turns: Iterable[Turn]) -> dict[str, bool]:
    """Say of all messages that these schedules made lately, and that live, whether a worker has received them."""
    ids = [pk for turn in turns for pk in turn.schedule.recent]
    if not ids:
        return {}
    rows = Message.objects.using(settings.DATABASE).filter(pk__in=ids).values_list("pk", "deliveries")
    return {str(pk): deliveries > 0 for pk, deliveries in rows}
