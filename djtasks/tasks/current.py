"""``current_task``: stands for whichever task is running here."""

from __future__ import annotations

from typing import Any

from djtasks.tasks.context import current_run


class CurrentTask:
    """The running task; false, equal to None and without attributes outside of one."""

    def __getattr__(self, name: str) -> Any:
        run = current_run()
        if run is None:
            raise AttributeError(f"no task is running here, so current_task has no {name!r}")
        return getattr(run[0], name)

    def __bool__(self) -> bool:
        return current_run() is not None

    def __eq__(self, other: object) -> bool:
        run = current_run()
        return (run[0] if run else None) is other

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        run = current_run()
        return repr(run[0] if run else None)


current_task = CurrentTask()
