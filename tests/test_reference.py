"""The reference says what is: each name of a module's has a heading with its signature, and no other has one."""

from __future__ import annotations

import re
from inspect import Parameter, Signature, isclass, signature
from pathlib import Path
from typing import Any

import pytest

from djtasks import testing
from djtasks.compat import HAS_TASKS

DIRECTORY = Path(__file__).parents[1] / "docs" / "reference"

needs_tasks = pytest.mark.skipif(not HAS_TASKS, reason="Django has no tasks here")


def headings(page: str) -> dict[str, str]:
    """Return the names that have headings, each with its signature as it is written there."""
    text = (DIRECTORY / f"{page}.md").read_text()
    return {name: given.replace('"', "'") for name, given in re.findall(r"^### `([\w.]+)(\(.*\))`$", text, re.M)}


def written(what: Any) -> str:
    """Write a signature without its types."""
    known = signature(what).parameters.values()
    return str(Signature([each.replace(annotation=Parameter.empty) for each in known]))


def words(page: str, title: str) -> set[str]:
    """Return what stands in the first cells of a section's tables."""
    section = (DIRECTORY / f"{page}.md").read_text().partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (`.*?) \|", section, re.M)
    return {word for cell in cells for word in re.findall(r"`(\w+)`", cell)}


def test_every_name_of_the_test_kit_is_described() -> None:
    assert headings("testing") == {name: written(getattr(testing, name)) for name in testing.__all__}


def test_fixtures_and_methods_of_the_test_kit_are_named() -> None:
    from djtasks.testing import plugin

    page = (DIRECTORY / "testing.md").read_text()
    methods = {name for name in vars(testing.TaskTestMixin) if not name.startswith("_")}
    mixin = page.partition("### `TaskTestMixin()`")[2].partition("\n\nThe plugin")[0]
    assert methods == set(re.findall(r"`(\w+)`", mixin)) - {"assert_enqueued"}
    fixtures = {name for name in vars(plugin) if name.startswith("djtasks_")}
    assert fixtures == words("testing", "In the manner of unittest, and of pytest")


def test_what_a_delivery_has_is_named() -> None:
    delivery = testing.Delivery
    shown = {*delivery._fields, *(name for name, value in vars(delivery).items() if isinstance(value, property))}
    assert shown <= words("testing", "The queue")


@needs_tasks
def test_every_name_of_the_backend_is_described() -> None:
    from djtasks import backend
    from djtasks.backend.declaring import Declared
    from djtasks.backend.options import OPTIONS

    expected = {name: written(getattr(backend, name)) for name in backend.__all__}
    found = headings("backend")
    # Which of Django's own have defaults, and therefore their order, differs among its versions.
    fields = {*re.findall(r", \**(\w+)", found["DjangoTask"])}
    assert fields == signature(backend.DjangoTask).parameters.keys() - set(OPTIONS) | {"options"}
    expected["DjangoTask"] = found["DjangoTask"]
    for name, known in (("DjtasksBackend", backend.DjtasksBackend), ("DjangoTask", Declared)):
        methods = {each: value for each, value in vars(known).items() if not each.startswith("_")}
        expected |= {f"{name}.{each}": written(value) for each, value in methods.items() if is_method(value)}
    assert found == expected


def is_method(value: Any) -> bool:
    return callable(value) and not isclass(value)


@needs_tasks
def test_every_option_of_the_backend_is_named() -> None:
    from djtasks.backend.options import OPTIONS

    assert words("backend", "Options") == set(OPTIONS)
