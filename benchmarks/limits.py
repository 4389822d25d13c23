"""The limit: what PostgreSQL itself does with our own statements, sent by pgbench, beside djtasks with all of Python.

pgbench sends prepared statements, as a worker does, one after the other. A worker settles a batch and reserves the next
one in one commit, and so does this: what was reserved is what is settled next.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.programs import MissingProgram
from benchmarks.report import Record
from benchmarks.running import begin_round, measure, note
from benchmarks.sides import Djtasks, Side
from benchmarks.steady import Backlog, Steady, ours
from djtasks.broker.vendors.postgresql_inserting import INSERT
from djtasks.broker.vendors.postgresql_reserving import RESERVE_FROM_MARKS
from djtasks.broker.vendors.postgresql_statements import END, SETTINGS
from tests.servers import find_binaries

NO_PGBENCH = """\
no pgbench beside the programs of PostgreSQL in {}; it belongs to the package of the server:
  apt-get install postgresql          it need not be running: a private one is started"""

PGBENCH = "pgbench"
CALLS = 2_000
BATCHES = (1, 10, 50, 100, 500)
FIRST_ID = "00000000-0000-0000-0000-000000000000"

# As ids are made: the time in milliseconds, and chance.
NEW_ID = """(lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0')
    || '7000' || substr(gen_random_uuid()::text, 20))::uuid"""

# What was reserved, as one row that pgbench can keep, with how far the index has been read.
KEPT = r"""
SELECT COALESCE(array_agg(id), '{}') AS id, COALESCE(array_agg(deliveries), '{}') AS deliveries,
    COALESCE('{' || max(due_at) || '}', :'mark_due') AS mark_due FROM reserved \gset
"""


class Script(NamedTuple):
    """What pgbench does again and again, and what it knows at first."""

    text: str
    variables: dict[str, object]
    tasks: int = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, show a table and write the figures."""
    return measure("limits", __doc__, Measuring, arguments)
