"""A worker starts anew when it is told to, or under development when its code changes (J7, WORK-6)."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from djtasks import send_task
from tests.helpers import Diary, on_one_database, running_worker, settled, wait_until
from tests.tasks import hold, note

pytestmark = pytest.mark.django_db(transaction=True)
CODE = "from djtasks import shared_task\n\n\n@shared_task\ndef answer():\n    return {}\n"


@pytest.mark.parametrize("pool", ["processes", "solo"])
@on_one_database
def test_worker_starts_anew_when_its_code_changes(pool: str, tmp_path: Path) -> None:
    """J7: what runs may end; half of an edit is waited out; a signal ends it for good."""
    module = tmp_path / "changing.py"
    module.write_text(CODE.format(1))
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    environment = {"DEBUG": "yes", "DJTASKS_TEST_MODULE": "changing", "PYTHONPATH": path}
    with running_worker(f"--pool={pool}", "--reload", concurrency=1, environment=environment) as worker:
        assert settled(send_task("changing.answer")).value == 1
        module.write_text(CODE.format("1 +"))
        worker.logs("not restarted: ")
        assert settled(send_task("changing.answer")).value == 1
        module.write_text(CODE.format("40 + 2"))
        worker.logs("restarting, since ")
        wait_until(lambda: worker.log.count(f"(pid {worker.pid})") == 2, what=worker.log)
        assert settled(send_task("changing.answer")).value == 42
        assert worker.stop() == 0


@on_one_database
def test_reload_is_refused_outside_development() -> None:
    """J7."""
    with running_worker("--pool=solo", "--reload") as worker:
        assert worker.wait() == 2
    assert "--reload is for development: it needs DEBUG = True" in worker.log


@on_one_database
def test_worker_starts_anew_when_it_is_told_to(diary: Diary) -> None:
    """WORK-6: HUP is a warm end and a new start; what runs may end before."""
    running = hold.delay(diary.path, "running", diary.gate)
    with running_worker(concurrency=1) as worker:
        diary.until("running")
        worker.signal(signal.SIGHUP)
        worker.logs("stopping: 1 messages are held")
        diary.open_gate()
        assert settled(running).state == "SUCCESS"
        wait_until(lambda: worker.log.count(f"(pid {worker.pid})") == 2, what=worker.log)
        assert settled(note.delay(diary.path, "next")).state == "SUCCESS"
        assert worker.stop() == 0
