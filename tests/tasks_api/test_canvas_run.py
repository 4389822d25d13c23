"""Every shape of workflow comes to the same end, whoever runs it (CANV, MON-3)."""

from __future__ import annotations

import pytest

from djtasks.models import Dependency, Message
from tests.helpers_inprocess import run_until_empty
from tests.shapes import SHAPES, each_shape, outcome


@each_shape
@pytest.mark.django_db(transaction=True)
def test_shape_has_its_value_in_a_worker(shape: str) -> None:
    """CANV-1, CANV-4 to CANV-9, CANV-11."""
    make, expected = SHAPES[shape]
    result = make().apply_async()
    run_until_empty()
    assert outcome(result) == expected
    assert not Message.objects.exists() and not Dependency.objects.filter(fate="").exists()


@each_shape
def test_shape_has_the_same_value_at_once(shape: str, eager: None) -> None:
    """MON-3."""
    make, expected = SHAPES[shape]
    assert outcome(make().apply_async()) == outcome(make().apply()) == expected
