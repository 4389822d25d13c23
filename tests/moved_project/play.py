"""``python -m tests.moved_project.play COMMAND…``: enqueue all there is, run the worker, tell what became of it."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from typing import Any

import django


def main(worker: list[str]) -> None:
    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    results = list(enqueued())
    subprocess.run([sys.executable, "-m", "django", *worker], check=True, stdout=sys.stderr)
    for result in results:
        result.refresh()
    print(json.dumps([told(result) for result in results]))


def enqueued() -> Any:
    from django.utils import timezone

    from tests.moved_project.shop import tasks

    yield tasks.count_stock.enqueue("a", "b", deep=(1, {"x": None}))
    yield tasks.send_mail.enqueue(to="me@example.com")
    yield tasks.send_mail.using(priority=-10, queue_name="default").enqueue("you@example.com")
    yield tasks.ask_supplier.enqueue("miller")
    yield tasks.charge.enqueue(3)
    yield tasks.write_receipt.enqueue(7)
    yield tasks.draw.enqueue()
    yield tasks.count_stock.using(run_after=timezone.now() + timedelta(days=1)).enqueue()


def told(result: Any) -> dict[str, Any]:
    """Say all of a result that is not a matter of chance."""
    return {
        "task": result.task.module_path,
        "queue": result.task.queue_name,
        "priority": result.task.priority,
        "waits": result.task.run_after is not None,
        "status": result.status,
        "args": result.args,
        "kwargs": result.kwargs,
        "backend": result.backend,
        "attempts": result.attempts,
        "errors": [error.exception_class_path for error in result.errors],
        "is traced": [error.traceback.startswith("Traceback") for error in result.errors],
        "value": result.return_value if result.status == "SUCCESSFUL" else None,
        "times": [getattr(result, f"{name}_at") is not None for name in ("enqueued", "started", "finished")],
        "order": result.status == "READY" or result.enqueued_at <= result.started_at <= result.finished_at,
    }


if __name__ == "__main__":
    main(sys.argv[1:])
