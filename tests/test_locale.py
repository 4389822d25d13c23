"""The words of every language are all there: what the code and the templates say is found in each catalogue."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from gettext import GNUTranslations, NullTranslations
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import translation
from django.utils.translation.template import templatize

PACKAGE = Path(__file__).parents[1] / "djtasks"
CATALOGUES = sorted((PACKAGE / "locale").glob("*/LC_MESSAGES/django.mo"))
NAMES = {"_", "gettext", "gettext_lazy", "ngettext"}
# What Django makes of a template is no Python, but its calls can be told.
CALL = re.compile(r"""\b(?:_|n?gettext)\(u?('(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")""")
PLACEHOLDER = re.compile(r"%(?:\(\w+\))?[.\d]*[sdf]")


class Missing(NullTranslations):
    """Takes note of what nobody has translated."""

    def __init__(self) -> None:
        super().__init__()
        self.words: set[str] = set()

    def gettext(self, message: str) -> str:
        self.words.add(message)
        return message

    def ngettext(self, message: str, plural: str, number: int) -> str:
        return self.gettext(message)


def said() -> Iterator[str]:
    """Yield what is to be translated."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in NAMES:
                assert isinstance(node.args[0], ast.Constant), f"{path}:{node.lineno} cannot be found by gettext"
                yield node.args[0].value
    for path in PACKAGE.rglob("*.html"):
        for literal in CALL.findall(templatize(path.read_text(), origin=str(path))):
            yield ast.literal_eval(literal)


def read(catalogue: Path) -> GNUTranslations:
    with catalogue.open("rb") as file:
        return GNUTranslations(file)


def sources(catalogue: Path) -> dict[str, str]:
    """Return the entries of the text from which a catalogue was made, but for plurals."""
    pairs = re.findall(r'^msgid "(.+)"\nmsgstr "(.*)"$', catalogue.with_suffix(".po").read_text(), re.MULTILINE)
    return {ast.literal_eval(f'"{name}"'): ast.literal_eval(f'"{text}"') for name, text in pairs}


def plurals(catalogue: Path) -> dict[tuple[str, str], tuple[str, ...]]:
    """Return the entries of the text that count, for one and for many."""
    entry = r'^msgid "(.+)"\nmsgid_plural "(.+)"\nmsgstr\[0\] "(.*)"\nmsgstr\[1\] "(.*)"$'
    found = re.findall(entry, catalogue.with_suffix(".po").read_text(), re.MULTILINE)
    texts = ([ast.literal_eval(f'"{text}"') for text in texts] for texts in found)
    return {(one, many): tuple(told) for one, many, *told in texts}


def test_there_is_much_to_say() -> None:
    words = set(said())
    assert len(words) > 250 and {"Run now", "Overview", "%d min", "<strong>%(count)s</strong> task:"} <= words


@pytest.mark.parametrize("catalogue", CATALOGUES, ids=lambda path: path.parts[-3])
def test_every_word_is_translated(catalogue: Path) -> None:
    translated, missing = read(catalogue), Missing()
    translated.add_fallback(missing)
    for word in said():
        told = translated.gettext(word) if word not in missing.words else word
        assert sorted(PLACEHOLDER.findall(told)) == sorted(PLACEHOLDER.findall(word)), (word, told)
    assert not {word for word in missing.words if translated.ngettext(word, word, 2) == word}


@pytest.mark.parametrize("catalogue", CATALOGUES, ids=lambda path: path.parts[-3])
def test_catalogue_is_that_of_its_source(catalogue: Path) -> None:
    translated, entries = read(catalogue), sources(catalogue)
    assert entries and "fuzzy" not in catalogue.with_suffix(".po").read_text()
    assert {word: translated.gettext(word) for word in entries} == entries
    assert set(entries) <= set(said()), "nobody says this any more"


@pytest.mark.parametrize("catalogue", CATALOGUES, ids=lambda path: path.parts[-3])
def test_nothing_is_left_to_translate(catalogue: Path) -> None:
    """Each entry is one that is looked at here, and none is empty, in the text and as it was compiled."""
    translated, single, counting = read(catalogue), sources(catalogue), plurals(catalogue)
    entries = re.findall(r"^msgid ", catalogue.with_suffix(".po").read_text(), re.MULTILINE)
    assert len(entries) == 1 + len(single) + len(counting) and counting
    assert all(single.values())
    for pair, told in counting.items():
        assert all(told) and tuple(translated.ngettext(*pair, number) for number in (1, 2)) == told
        assert all(sorted(PLACEHOLDER.findall(each)) == sorted(PLACEHOLDER.findall(pair[0])) for each in told)


@pytest.mark.django_db
def test_control_room_speaks_german(admin_client: Client) -> None:
    with translation.override("de"):
        page = admin_client.get(reverse("admin:djtasks_overview")).content.decode()
    assert "Überblick" in page and "Die letzte Stunde" in page and "The last hour" not in page
