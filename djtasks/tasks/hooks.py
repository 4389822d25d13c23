"""What a base class of tasks may override to hear of each run (TASK-2)."""

from __future__ import annotations

from typing import Any


class Hooks:
    """The hooks of a task; as they stand here, they do nothing."""

    def before_start(self, task_id: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Run before the body."""

    def on_success(self, retval: Any, task_id: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Run when the success has been recorded."""

    def on_failure(
        self, exc: BaseException, task_id: str, args: tuple[Any, ...], kwargs: dict[str, Any], einfo: str
    ) -> None:
        """Run when the failure has been recorded; ``einfo`` is the traceback as text."""

    def on_retry(
        self, exc: BaseException, task_id: str, args: tuple[Any, ...], kwargs: dict[str, Any], einfo: str
    ) -> None:
        """Run when the retry has been recorded."""

    def after_return(
        self, status: str, retval: Any, task_id: str, args: tuple[Any, ...], kwargs: dict[str, Any], einfo: str | None
    ) -> None:
        """Run when the end has been recorded; not after Retry, Ignore and Reject."""

    def has_hook_before(self) -> bool:
        """Say whether anything is to run before the body."""
        return type(self).before_start is not Hooks.before_start

    def has_hooks_after(self) -> bool:
        """Say whether anything is to run once the end has been recorded."""
        kind = type(self)
        return not (
            kind.on_success is Hooks.on_success
            and kind.on_failure is Hooks.on_failure
            and kind.on_retry is Hooks.on_retry
            and kind.after_return is Hooks.after_return
        )
