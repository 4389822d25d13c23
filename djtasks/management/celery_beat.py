"""Schedules of django-celery-beat: its tables are read, whether or not that app is still there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from django.db import DataError, Error, IntegrityError, transaction
from django.db.models import QuerySet

from djtasks.beat.moments import for_row, from_row
from djtasks.beat.turn import first_slot
from djtasks.broker.vendors import shared_vendor
from djtasks.conf import settings
from djtasks.domain.schedules.rules import INTERVAL
from djtasks.management.celery_tables import PeriodicTask, Row, Tables, read, understood
from djtasks.management.report import Report, cell
from djtasks.models import Schedule
from djtasks.tasks import registry, scheduled

# Results are purged by workers here.
NOT_NEEDED = "celery.backend_cleanup"


@dataclass
class Tally:
    """What became of each periodic task, by its name."""

    made: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    not_needed: list[str] = field(default_factory=list)
    notes: dict[str, list[str]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    def note(self, name: str, *texts: str) -> None:
        """Say what people should know of one that was not refused."""
        if texts:
            self.notes.setdefault(name, []).extend(texts)


def imported(alias: str | None, *, dry: bool, update: bool, disabled: bool) -> Report:
    """Make schedules of all periodic tasks that are there; one that cannot be carried over harms no other."""
    tables = read(alias or settings.DATABASE)
    with transaction.atomic(using=settings.DATABASE):
        # Before anything is read, and none has this name: on SQLite a transaction that has read cannot always write.
        _schedules().filter(name="").update(runs=0)
        tally = Import(tables, update, disabled).run()
        if dry:
            transaction.set_rollback(True, using=settings.DATABASE)
    return _report(tally, dry)


class Import:
    """One import: what it was told, the moment from which slots count, and what has become of what."""

    def __init__(self, tables: Tables, update: bool, disabled: bool) -> None:
        self._tables, self._update, self._disabled = tables, update, disabled
        self._declared = {name: source for name, (_, source) in scheduled.declared().items()}
        self._now = from_row(shared_vendor().now())
        self._tally = Tally()

    def run(self) -> Tally:
        """Carry over one after the other."""
        for row in self._tables.tasks:
            name = str(row["name"])
            try:
                with transaction.atomic(using=settings.DATABASE):
                    self._look_at(name, row)
            except Exception as error:
                # A database that does not answer says nothing of the row.
                if isinstance(error, Error) and not isinstance(error, (DataError, IntegrityError)):
                    raise
                reason = " ".join(str(error).split())
                self._tally.refused[name] = reason.removeprefix(f"schedule {name!r}: ")
        return self._tally

    def _look_at(self, name: str, row: Row) -> None:
        if row["task"] == NOT_NEEDED:
            self._tally.not_needed.append(name)
            return
        known = _schedules().select_for_update().filter(name=name).first()
        if source := self._declared.get(name) or (known and known.source):
            self._tally.kept.append(name)
            self._tally.note(name, f"it is declared in {'the settings' if source == 'settings' else source}")
        elif known and not self._update:
            self._tally.kept.append(name)
        else:
            self._carry_over(name, row, known)

    def _carry_over(self, name: str, row: Row, known: Schedule | None) -> None:
        task = understood(row, self._tables.rules)
        schedule = known or Schedule(name=_checked(name))
        schedule.set_rule(task.rule)
        for column, value in task.columns.items():
            setattr(schedule, column, for_row(value) if isinstance(value, datetime) else value)
        following, notes = self._following(schedule, task), list(task.notes)
        schedule.enabled = task.enabled and not self._disabled
        if schedule.enabled and following is None:
            schedule.enabled = False
            notes.append("disabled: it has no runs left")
        if registry.find(schedule.task) is None:
            notes.append(f"the task {schedule.task!r} is not registered here: it will fail until it is")
        schedule.save(using=settings.DATABASE)
        self._go_on(schedule, task, following)
        (self._tally.changed if known else self._tally.made).append(name)
        self._tally.note(name, *notes)

    def _following(self, schedule: Schedule, task: PeriodicTask) -> datetime | None:
        """Return its next slot, which lies in the future: intervals go on from the last run, here or there."""
        if schedule.one_off and (schedule.runs or task.runs):
            return None
        start_at = schedule.start_at and from_row(schedule.start_at)
        anchor = max(filter(None, (task.anchor, _last_run(schedule))), default=None)
        if task.rule.kind == INTERVAL and anchor and not (start_at and start_at > self._now):
            slot = task.rule.next_after(self._now, min(anchor, self._now))
        else:
            slot = first_slot(schedule, self._now)
        end_at = schedule.end_at and from_row(schedule.end_at)
        return None if slot and end_at and slot > end_at else slot

    def _go_on(self, schedule: Schedule, task: PeriodicTask, following: datetime | None) -> None:
        """Write what beats write; one that is planned already, and as it was, keeps its next run."""
        progress: dict[str, Any] = {}
        latest = _last_run(schedule)
        if latest is None or (task.last_run_at and task.last_run_at > latest):
            progress |= {"runs": task.runs, "last_run_at": task.last_run_at and for_row(task.last_run_at)}
        if schedule.enabled and following and not schedule.is_planned:
            progress |= {"planned": schedule.plan, "planned_start_at": schedule.start_at}
            progress |= {"next_run_at": for_row(following), "error": ""}
        if progress:
            _schedules().filter(pk=schedule.pk).update(**progress)


def _schedules() -> QuerySet[Schedule]:
    return Schedule.objects.using(settings.DATABASE)


def _last_run(schedule: Schedule) -> datetime | None:
    return schedule.last_run_at and from_row(schedule.last_run_at)


def _checked(name: str) -> str:
    most = Schedule._meta.get_field("name").max_length or 0
    if not 0 < len(name) <= most:
        raise ValueError(f"a schedule's name is a text of up to {most} characters, and this has {len(name)}")
    return name


def _report(tally: Tally, dry: bool) -> Report:
    refused = len(tally.refused)
    trouble = f"{refused} of the periodic tasks {'would' if dry else 'could'} not be carried over" if refused else ""
    return Report({**asdict(tally), "dry_run": dry}, "\n".join(_lines(tally, dry)), trouble)


def _lines(tally: Tally, dry: bool) -> Iterator[str]:
    would = "would be " if dry else ""
    became: Mapping[str, list[str]] = {
        f"{would}made": tally.made,
        f"{would}changed": tally.changed,
        "left as it is": tally.kept,
        "not needed: workers delete results whose time is over": tally.not_needed,
    }
    for word, names in became.items():
        for name in names:
            yield f"{cell(name)}: {word}"
            yield from (f"  {note}" for note in tally.notes.get(name, ()))
    for name, reason in tally.refused.items():
        yield f"{cell(name)}: NOT carried over: {reason}"
    yield (
        f"{len(tally.made)} {would}made, {len(tally.changed)} {would}changed, "
        f"{len(tally.kept)} left as they are, {len(tally.refused)} not carried over"
    )
