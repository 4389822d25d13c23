"""A worker of pgqueuer's: ``python -m benchmarks.apps.pgqueuer_worker BATCH MOST``; no limit is 0."""

from __future__ import annotations

import logging
import sys

import pgqueuer
import uvloop

from benchmarks.apps.pgqueuer import manager


def main(batch: int, most: int) -> None:
    """Work until told to stop."""
    logging.getLogger("pgqueuer").setLevel(logging.WARNING)
    uvloop.run(pgqueuer.run(manager, batch_size=batch, max_concurrent_tasks=most))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
