"""The plan of the house holds: floors, budgets, words, and where SQL may stand."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.source import definitions, imports, lengths, modules

Rule = Callable[[Path], Iterator[str]]

PACKAGE = Path(__file__).parent.parent / "djtasks"

# From top to bottom; a module imports from its own floor and from those below. The empty name is djtasks itself, the
# face, which loads what it shows on first use: only the surfaces may look at it.
FLOORS = (
    ("", "management", "admin", "backend", "testing", "contrib", "apps", "routers"),
    ("worker", "beat"),
    ("tasks",),
    ("broker",),
    ("broker.vendors",),
    ("models", "conf", "checks", "migrations"),
    ("domain", "exceptions", "signals", "compat"),
)
STRANGERS = ({"worker", "beat"},)

BUDGETS = {"file": 300, "class": 150, "function": 40}
# Who exceeds a budget, and the reason: "file.py", "file.py:Class" or "file.py:function".
EXCUSED: dict[str, str] = {}

SQL = re.compile(r"\s*(WITH|SELECT|INSERT INTO|UPDATE \S+ SET|DELETE FROM|LISTEN|NOTIFY|BEGIN|PRAGMA)\b")

NOT_OUR_WORDS = re.compile(r"(?:^|_)(jobs?|claim(?:s|ed|ing)?)(?:_|$)")

# A row is data: nothing here can turn one into code.
UNSAFE = {"pickle", "marshal", "yaml", "dill", "shelve", "eval", "exec", "import_string", "__import__"}


def imports_go_downward(root: Path) -> Iterator[str]:
    for module, imported in imports(root):
        if floor(module) is None:
            yield f"{module} has no place in the plan"
        elif (floor(imported) or 0) < (floor(module) or 0):
            yield f"{module} imports {imported or 'djtasks itself'} from a floor above"
        elif {module.split(".")[0], imported.split(".")[0]} in STRANGERS:
            yield f"{module} knows {imported}"


def modules_form_no_circle(root: Path) -> Iterator[str]:
    graph: dict[str, set[str]] = {}
    for module, imported in imports(root):
        graph.setdefault(module, set()).add(imported)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        yield " imports ".join(reversed(error.args[1]))


def sql_stays_with_the_vendors(root: Path) -> Iterator[str]:
    for module in modules(root):
        if not is_below(module.name, "broker.vendors") and not is_below(module.name, "migrations"):
            for node in ast.walk(module.tree):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and SQL.match(node.value):
                    yield f"{module.path}:{node.lineno} {node.value[:40]!r}"


def budgets_are_kept(root: Path) -> Iterator[str]:
    return (f"{place} has {excess}" for place, excess in excesses(root).items() if place not in EXCUSED)


def words_are_ours(root: Path) -> Iterator[str]:
    for module in modules(root):
        for name in (*module.name.split("."), *(definition.name for definition in definitions(module))):
            if NOT_OUR_WORDS.search(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()):
                yield f"{module.path} {name}"


def rows_are_only_data(root: Path) -> Iterator[str]:
    for module in modules(root):
        for node in ast.walk(module.tree):
            names = [getattr(node, field, None) for field in ("id", "attr", "name", "module")]
            if any(isinstance(name, str) and name.split(".")[0] in UNSAFE for name in names):
                yield f"{module.path}: {ast.unparse(node)}"


RULES: tuple[Rule, ...] = (
    imports_go_downward,
    modules_form_no_circle,
    sql_stays_with_the_vendors,
    budgets_are_kept,
    words_are_ours,
    rows_are_only_data,
)


@pytest.mark.parametrize("rule", RULES)
def test_package_keeps(rule: Rule) -> None:
    broken = list(rule(PACKAGE))
    assert not broken, "\n".join([rule.__name__, *broken])


def test_every_excuse_is_needed() -> None:
    assert set(EXCUSED) <= set(excesses(PACKAGE))


def test_import_touches_no_models() -> None:
    look = "import djtasks, sys; assert djtasks.__all__ and dir(djtasks); sys.exit('djtasks.models' in sys.modules)"
    subprocess.run([sys.executable, "-c", look], check=True, cwd=PACKAGE.parent)


@pytest.mark.parametrize(
    ("rule", "path", "source"),
    [
        (imports_go_downward, "domain/states.py", "from djtasks.models import Message"),
        (imports_go_downward, "models.py", "def f():\n    from djtasks.broker import enqueue"),
        (imports_go_downward, "broker/vendors/base.py", "from djtasks.broker.enqueue import enqueue"),
        (imports_go_downward, "broker/vendors/base.py", "from ..enqueue import enqueue"),
        (imports_go_downward, "tasks/canvas.py", "from djtasks import chain"),
        (imports_go_downward, "worker/consumer.py", "import djtasks.beat.tick"),
        (imports_go_downward, "utils.py", "import djtasks.models"),
        (modules_form_no_circle, "models.py", "from djtasks.conf import settings"),
        (sql_stays_with_the_vendors, "admin.py", "def f(table):\n    return f'SELECT 1 FROM {table}'"),
        (budgets_are_kept, "admin.py", "pass\n" * 301),
        (budgets_are_kept, "admin.py", "class A:\n" + "    pass\n" * 150),
        (budgets_are_kept, "admin.py", "def f():\n" + "    pass\n" * 40),
        (words_are_ours, "admin.py", "def claim_next(): ..."),
        (words_are_ours, "admin.py", "class JobAdmin: ..."),
        (words_are_ours, "job.py", ""),
        (rows_are_only_data, "admin.py", "import pickle"),
        (rows_are_only_data, "admin.py", "from django.utils.module_loading import import_string"),
        (rows_are_only_data, "admin.py", "def f(row):\n    return eval(row.task)"),
    ],
)
def test_rule_notices(rule: Rule, path: str, source: str, tmp_path: Path) -> None:
    house = {
        "__init__.py": "__all__ = ['chain']",
        "admin.py": "from djtasks import chain\nfrom djtasks.broker.enqueue import enqueue",
        "conf.py": "import djtasks.models\nif TYPE_CHECKING:\n    import djtasks.worker",
        "broker/enqueue.py": "from djtasks.broker.vendors.base import Vendor",
        "broker/vendors/base.py": "QUERY = 'SELECT 1'\nfrom ...domain import states",
        "models.py": "",
        "domain/states.py": "",
        "beat/tick.py": "",
    }
    assert not list(rule(build(tmp_path / "right" / "djtasks", house)))
    assert list(rule(build(tmp_path / "wrong" / "djtasks", house | {path: source})))


def build(root: Path, files: dict[str, str]) -> Path:
    for name, source in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(source)
    return root


def floor(name: str) -> int | None:
    """Count the floors above a module; the longest name that fits decides."""
    fitting = [
        (len(place), height) for height, places in enumerate(FLOORS) for place in places if is_below(name, place)
    ]
    return max(fitting)[1] if fitting else None


def is_below(name: str, place: str) -> bool:
    return name == place or (place != "" and name.startswith(f"{place}."))


def excesses(root: Path) -> dict[str, str]:
    """Measure who exceeds a budget; migrations are written by Django and have none."""
    return {
        place: f"{lines} lines of {BUDGETS[kind]}"
        for kind, place, lines in lengths(root)
        if lines > BUDGETS[kind] and not place.startswith("migrations")
    }
