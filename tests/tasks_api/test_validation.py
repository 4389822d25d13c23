"""Arguments and results that are models of pydantic (TASK-6)."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any, Optional
from uuid import UUID

import pytest
from pydantic import BaseModel, ValidationError, ValidationInfo, field_validator

from djtasks import Task, shared_task
from djtasks.exceptions import EncodeError, ImproperlyConfigured
from djtasks.models import Message
from djtasks.tasks import validation
from djtasks.tasks.errors import RemoteError
from tests.helpers_inprocess import run_until_empty

if TYPE_CHECKING:
    from nowhere import Unknown

in_database = pytest.mark.django_db(transaction=True)


class Order(BaseModel):
    number: int
    day: date = date(2026, 1, 31)

    @field_validator("number")
    @classmethod
    def is_allowed(cls, number: int, info: ValidationInfo) -> int:
        if info.context and number > info.context.get("most", number):
            raise ValueError(f"too many for {info.context['task_name']}")
        return number


class Receipt(BaseModel):
    order: Order
    id: UUID = UUID(int=7)


def buy(order: Order, note: str = "", *, extra: Order | None = None) -> Receipt:
    assert isinstance(order, Order) and (extra is None or isinstance(extra, Order))
    return Receipt(order=order)


def buy_optional(order: Optional[Order] = None) -> Optional[Receipt]:  # noqa: UP045, as old code writes it
    return None if order is None else Receipt(order=order)


RECEIPT = {"order": {"number": 3, "day": "2026-01-31"}, "id": str(UUID(int=7))}


@in_database
@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        (({"number": 3},), {}),
        ((Order(number=3),), {}),
        (({"number": 3}, "note"), {"extra": {"number": 4}}),
        ((), {"order": Order(number=3), "extra": None}),
    ],
)
def test_argument_is_a_model_in_the_body_and_the_returned_one_is_dumped(args: Any, kwargs: Any) -> None:
    """TASK-6."""
    result = shared_task(buy, name="buy", pydantic=True).apply_async(args, kwargs)
    run_until_empty()
    assert result.get() == RECEIPT


def test_model_travels_as_json() -> None:
    """TASK-6."""
    task = shared_task(lambda *args, **kwargs: None, name="plain", pydantic=True)
    order = Order(number=3)
    dumped = {"number": 3, "day": "2026-01-31"}
    assert validation.dumped(([order], {"a": order}, 1, UUID(int=1))) == [[dumped], {"a": dumped}, 1, UUID(int=1)]
    assert task.apply((order,)).args == [dumped]


@in_database
def test_task_without_pydantic_refuses_a_model() -> None:
    with pytest.raises(EncodeError, match=r"args\[0\] is of type .*Order"):
        shared_task(lambda order: None, name="plain").delay(Order(number=3))


@in_database
def test_argument_that_is_no_model_fails_before_the_body() -> None:
    """TASK-6."""
    ran: list[Any] = []

    def body(order: Order) -> None:
        ran.append(order)

    result = shared_task(body, name="strict", pydantic=True).delay({"number": "many"})
    run_until_empty()
    with pytest.raises((ValidationError, RemoteError), match="number"):
        result.get()
    assert not ran


@pytest.mark.parametrize(("strict", "fails"), [(False, False), (True, True)])
def test_strict_validation_converts_nothing(strict: bool, fails: bool) -> None:
    """TASK-6."""
    task = shared_task(buy, name="buy", pydantic=True, pydantic_strict=strict)
    assert task.apply(({"number": "3", "day": date(2026, 1, 31)},)).failed() is fails


def test_context_reaches_the_validators() -> None:
    """TASK-6."""
    task = shared_task(buy, name="buy", pydantic=True, pydantic_context={"most": 5})
    assert task.apply(({"number": 5},)).successful()
    assert "too many for buy" in str(task.apply(({"number": 6},)).result)


def test_returned_model_is_dumped_as_the_task_says() -> None:
    """TASK-6."""
    task = shared_task(buy, name="buy", pydantic=True, pydantic_dump_kwargs={"exclude": {"id"}, "mode": "python"})
    assert task.apply(({"number": 3},)).get() == {"order": {"number": 3, "day": date(2026, 1, 31)}}


@pytest.mark.parametrize(("args", "value"), [((), None), ((None,), None), (({"number": 3},), RECEIPT)])
def test_model_may_be_optional(args: Any, value: Any) -> None:
    """TASK-6."""
    assert shared_task(buy_optional, name="buy", pydantic=True).apply(args).get() == value


def test_bound_and_asynchronous_bodies_and_base_classes_are_validated_too() -> None:
    """TASK-6."""

    class Validated(Task):
        pydantic = True

    def bound(self: Task, order: Order) -> Any:
        return [self.name, order.number]

    async def asynchronous(order: Order) -> Receipt:
        return Receipt(order=order)

    assert shared_task(bound, name="bound", bind=True, base=Validated)({"number": 3}) == ["bound", 3]
    assert shared_task(asynchronous, name="async", pydantic=True).apply(({"number": 3},)).get() == RECEIPT


def test_annotation_that_cannot_be_read_is_refused() -> None:
    def body(order: Order, other: Unknown) -> None: ...

    with pytest.raises(ImproperlyConfigured, match=r"annotations cannot be read where it is defined: .*'Unknown'"):
        shared_task(body, name="unknown", pydantic=True)


def test_arguments_are_still_checked_in_the_caller() -> None:
    """CALL-2, TASK-6."""
    task = shared_task(buy, name="buy", pydantic=True)
    with pytest.raises(TypeError, match=r"buy\(\) cannot be called like this: missing a required argument: 'order'"):
        task.delay()


def test_without_pydantic_the_declaration_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """TASK-6."""
    monkeypatch.setattr(validation, "base_model", lambda: None)
    with pytest.raises(
        ImproperlyConfigured, match=r"task 'buy' has pydantic=True, .* pip install 'djtasks\[pydantic\]'"
    ):
        shared_task(buy, name="buy", pydantic=True)
    assert shared_task(lambda: 1, name="plain")() == 1


@in_database
def test_nothing_is_sent_where_a_model_does_not_fit_the_settings(settings: Any) -> None:
    settings.DJTASKS = {"MAX_PAYLOAD_BYTES": 10}
    with pytest.raises(EncodeError):
        shared_task(buy, name="buy", pydantic=True).delay(Order(number=3))
    assert not Message.objects.exists()
