"""Commands as people and programs run them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import execute_from_command_line

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command; return its status and what it wrote."""

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            execute_from_command_line(["manage.py", "djtasks", *arguments])
            ended = 0
        except SystemExit as end:
            ended = int(end.code or 0)
        written = capsys.readouterr()
        return ended, written.out, written.err

    return run


def told(run: Run, *arguments: str) -> Any:
    """Run it for a program; return what it said."""
    status, out, err = run(*arguments, "--json")
    assert (status, err) == (0, "")
    return json.loads(out)
