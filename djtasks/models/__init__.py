"""The tables: what lives, what has ended, what is due when, and who works (design, "The tables")."""

from __future__ import annotations

from djtasks.models.fields import ErrorsField, PayloadField
from djtasks.models.invocations import Dependency, Invocation, Message, Result, Task
from djtasks.models.processes import Beat, Command, Worker
from djtasks.models.queues import Queue
from djtasks.models.schedules import Schedule, Slot

__all__ = [
    "Beat",
    "Command",
    "Dependency",
    "ErrorsField",
    "Invocation",
    "Message",
    "PayloadField",
    "Queue",
    "Result",
    "Schedule",
    "Slot",
    "Task",
    "Worker",
]
