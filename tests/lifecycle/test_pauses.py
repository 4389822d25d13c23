"""Real workers and queues that are paused."""

from __future__ import annotations

import pytest

from djtasks import control
from tests.helpers import drain, messages, running_worker, settled, wait_until
from tests.tasks import add

pytestmark = pytest.mark.django_db(transaction=True)


def test_worker_that_runs_and_one_that_comes_later_heed_a_pause() -> None:
    with running_worker("--pool=threads", "-l", "info") as worker:
        settled(add.apply_async((0, 0), queue="mail"))
        assert control.pause("mail")
        wait_until(lambda: "paused queues: mail" in worker.log)
        waits, runs = add.apply_async((1, 2), queue="mail"), add.delay(3, 4)
        settled(runs)
        assert messages().filter(pk=waits.id, deliveries=0).exists()
        control.resume("mail")
        settled(waits)
    control.pause("mail")
    waits = add.apply_async((1, 2), queue="mail")
    drain("--pool=solo", "-Q", "mail,default")
    assert messages().filter(pk=waits.id, deliveries=0).exists()
