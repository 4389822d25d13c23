"""The samples in the how-to for workflows do what their comments say."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from djtasks import exceptions
from tests.helpers_inprocess import run_until_empty

HOW_TO = Path(__file__).parents[2] / "docs" / "workflows.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.M | re.S)


def statements(block: str) -> Iterator[tuple[str, bool, str]]:
    """Yield the source of each statement, whether it is an expression, and the comment behind it."""
    lines = block.splitlines()
    for statement in ast.parse(block).body:
        source = ast.get_source_segment(block, statement) or ""
        decorators = [f"@{ast.unparse(each)}\n" for each in getattr(statement, "decorator_list", ())]
        comment = lines[(statement.end_lineno or 0) - 1][statement.end_col_offset :].strip().removeprefix("#").strip()
        yield "".join(decorators) + source, isinstance(statement, ast.Expr), comment


def check(expression: str, comment: str, names: dict[str, Any]) -> None:
    """Evaluate an expression: its repr is what the comment says, or it raises that error."""
    if comment.startswith("raises "):
        name = comment.removeprefix("raises ")
        error = getattr(exceptions, name, None) or __builtins__[name]  # type: ignore[index]
        with pytest.raises(error):
            eval(expression, names)  # noqa: S307, it stands in our own how-to
    else:
        pattern = re.sub(r"([\[?*])", r"[\1]", comment).replace("…", "*")
        shown = repr(eval(expression, names))  # noqa: S307
        assert not comment or fnmatchcase(shown, pattern), f"{expression}: {shown}, and not {comment}"


@pytest.mark.django_db(transaction=True)
def test_samples_of_workflows_are_true(monkeypatch: pytest.MonkeyPatch) -> None:
    """CANV-1 to CANV-13: all messages are run after each statement."""
    first, *others = BLOCK.findall(HOW_TO.read_text())
    shop, tasks = ModuleType("shop"), ModuleType("shop.tasks")
    monkeypatch.setitem(sys.modules, "shop", shop)
    monkeypatch.setitem(sys.modules, "shop.tasks", tasks)
    exec(first, vars(tasks))  # noqa: S102
    names: dict[str, Any] = {"__name__": "shop.flows"}
    checked = 0
    for block in others:
        for source, is_expression, comment in statements(block):
            if is_expression:
                check(source, comment, names)
                checked += bool(comment)
            else:
                exec(source, names)  # noqa: S102
            run_until_empty()
    assert checked > 25
