"""``python -m tests.conformance sqlite`` or ``postgresql``: download Django's tests of its tasks, and run them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tempfile
from contextlib import ExitStack
from pathlib import Path

import django

from tests.plugin import choose_database

ROOT = Path(__file__).parents[2]
# The tests for the backport are those of the first Django whose decorator takes options, as the backport's does.
VERSION = django.__version__ if django.VERSION >= (6, 0) else "6.1"

TO_OUR_BACKEND = (
    (r"from django\.tasks\.backends\.dummy import DummyBackend", "from tests.conformance.shim import RowsBackend"),
    (r"django\.tasks\.backends\.dummy\.DummyBackend", "tests.conformance.shim.RowsBackend"),
    (r"\bDummyBackend\b", "RowsBackend"),
    # Which may use a database.
    (r"\bSimpleTestCase\b", "TransactionTestCase"),
)
TO_BACKPORT = (
    (r"from django\.tasks import Task, ", "from django_tasks.base import Task\nfrom django_tasks import "),
    (r"\bdjango\.tasks\b", "django_tasks"),
    (r"\bInvalidTask\b", "InvalidTaskError"),
    (r"\bInvalidTaskBackend\b", "InvalidTaskBackendError"),
    (r"django\.utils\.json", "django_tasks.utils"),
)


def main(database: str) -> int:
    with ExitStack() as stack:
        print(f"== Django's tests of tasks, of Django {VERSION}, on {choose_database(database, None, stack.callback)}")
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="djtasks-")))
        rewrite(download(place) / "tasks")
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.conformance.settings",
            # The shim reads rows from coroutines of the tests.
            "DJANGO_ALLOW_ASYNC_UNSAFE": "1",
            "PYTHONPATH": os.pathsep.join([str(place / "tests"), str(ROOT)]),
        }
        # Threads of coroutines hold connections to the database to the last, so that it could not be dropped.
        command = [sys.executable, "-m", "django", "test", "tasks", "--noinput", "--keepdb"]
        return subprocess.run(command, env=environment, cwd=place).returncode


def download(place: Path) -> Path:
    """Fetch Django's source distribution; return the directory of the tests in it."""
    wanted = ["--no-deps", "--no-binary=django", "--ignore-requires-python", f"--dest={place}", f"Django~={VERSION}"]
    subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", *wanted], check=True)
    (archive,) = place.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        members = [each for each in tar.getmembers() if "/tests/tasks/" in each.name]
        for each in members:
            each.name = each.name.partition("/")[2]
        tar.extractall(place, members, filter="data")
    return place / "tests"


def rewrite(tests: Path) -> None:
    """Have the tests use our backend instead of the dummy one, and the backport where that is what there is."""
    for path in tests.glob("*.py"):
        text = path.read_text()
        for pattern, new in TO_OUR_BACKEND if django.VERSION >= (6, 0) else (*TO_OUR_BACKEND, *TO_BACKPORT):
            text = re.sub(pattern, new, text)
        path.write_text(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
