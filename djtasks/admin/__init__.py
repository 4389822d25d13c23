"""The control room: the rows in Django's admin; what is shown is what workers and beats live by."""

from __future__ import annotations

from djtasks.admin.processes.admin import BeatAdmin, WorkerAdmin
from djtasks.admin.schedules.admin import ScheduleAdmin, SlotAdmin
from djtasks.admin.tasks.admin import TaskAdmin

__all__ = ["BeatAdmin", "ScheduleAdmin", "SlotAdmin", "TaskAdmin", "WorkerAdmin"]
