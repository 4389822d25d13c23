"""The kit for test cases in the manner of unittest."""

from __future__ import annotations

from djtasks.testing import crashes, draining, expectations, time, workers


class TaskTestMixin:
    """Goes before any of Django's test cases; ``running_worker`` is for a TransactionTestCase."""

    drain = staticmethod(draining.drain)
    run_pending = staticmethod(draining.run_pending)
    adrain = staticmethod(draining.adrain)
    enqueued = staticmethod(expectations.enqueued)
    assertEnqueued = staticmethod(expectations.assert_enqueued)
    travel = staticmethod(time.travel)
    crash_at = staticmethod(crashes.crash_at)
    running_worker = staticmethod(workers.running_worker)
