"""Reads the source of a package without importing it: its modules, who imports whom, how long things are."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple


class Module(NamedTuple):
    """A module of the package; the name lacks the package's own, and is empty for the package itself."""

    name: str
    path: Path
    tree: ast.Module


def modules(root: Path) -> list[Module]:
    paths = [path.relative_to(root) for path in sorted(root.rglob("*.py"))]
    names = [".".join(path.with_suffix("").parts).removesuffix("__init__").removesuffix(".") for path in paths]
    return [Module(name, path, ast.parse((root / path).read_text())) for name, path in zip(names, paths, strict=True)]


def imports(root: Path) -> Iterator[tuple[str, str]]:
    """Yield who imports whom within the package, also inside functions; what only type checkers see does not count."""
    found = modules(root)
    known = {module.name for module in found}
    for module in found:
        for dotted in _imported_names(module, root.name):
            package, *parts = dotted.split(".")
            while parts and ".".join(parts) not in known:
                parts.pop()
            if package == root.name:
                yield module.name, ".".join(parts)


def _imported_names(module: Module, package: str) -> Iterator[str]:
    for node in _runtime_nodes(module.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            here = [package, *module.path.parent.parts]
            origin = here[: len(here) - node.level + 1] if node.level else []
            yield from (".".join([*origin, *filter(None, [node.module]), alias.name]) for alias in node.names)


def _runtime_nodes(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
        children: Iterable[ast.AST] = node.orelse
    else:
        children = ast.iter_child_nodes(node)
    for child in children:
        yield from _runtime_nodes(child)


def lengths(root: Path) -> Iterator[tuple[str, str, int]]:
    """Yield kind, place and number of lines of every file, class and function."""
    for module in modules(root):
        yield "file", str(module.path), len((root / module.path).read_text().splitlines())
        for node in definitions(module):
            kind = "class" if isinstance(node, ast.ClassDef) else "function"
            yield kind, f"{module.path}:{node.name}", (node.end_lineno or node.lineno) - node.lineno + 1


def definitions(module: Module) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
