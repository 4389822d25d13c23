"""Arguments and results that are models of pydantic, for tasks with ``pydantic=True`` (TASK-6).

What travels is JSON: a model is dumped where it is sent, and made and validated before the body.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Mapping
from functools import cache, wraps
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from djtasks.exceptions import ImproperlyConfigured


@cache
def base_model() -> Any:
    """Return pydantic's base class of models, or None; it is loaded for tasks that use it alone: that takes long."""
    return import_module("pydantic").BaseModel if find_spec("pydantic") else None


def validating(function: Callable[..., Any], name: str, base: Any, options: Mapping[str, Any]) -> Callable[..., Any]:
    """Wrap a body so that it gets models where it is annotated with them, as the options say, or else the base class.

    Raises ImproperlyConfigured where pydantic is not installed, or where the annotations cannot be read.
    """
    if base_model() is None:
        raise ImproperlyConfigured(
            f"task {name!r} has pydantic=True, but pydantic is not installed: pip install 'djtasks[pydantic]'"
        )
    strict, context, dump = (
        options.get(key, getattr(base, key)) for key in ("pydantic_strict", "pydantic_context", "pydantic_dump_kwargs")
    )
    form = Form(_signature(function, name), strict, {**(context or {}), "task_name": name}, dump or {})

    @wraps(function)
    def body(*args: Any, **kwargs: Any) -> Any:
        given = form.filled(args, kwargs)
        return form.dumped(function(*given.args, **given.kwargs))

    @wraps(function)
    async def coroutine(*args: Any, **kwargs: Any) -> Any:
        given = form.filled(args, kwargs)
        return form.dumped(await function(*given.args, **given.kwargs))

    return coroutine if inspect.iscoroutinefunction(function) else body


class Form:
    """Which arguments of a body are models, and which model it returns."""

    def __init__(
        self, signature: inspect.Signature, strict: bool, context: dict[str, Any], dump_kwargs: Mapping[str, Any]
    ) -> None:
        annotations = {key: each.annotation for key, each in signature.parameters.items()}
        self.signature = signature
        self.models = {key: model for key, each in annotations.items() if (model := _model_of(each)) is not None}
        self.returned = _model_of(signature.return_annotation)
        self.how = {"strict": strict, "context": context}
        self.dump = {"mode": "json", **dump_kwargs}

    def filled(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> inspect.BoundArguments:
        """Make and validate the models among the arguments; raises pydantic's ValidationError."""
        given = self.signature.bind(*args, **kwargs)
        for key, model in self.models.items():
            if given.arguments.get(key) is not None:
                given.arguments[key] = model.model_validate(given.arguments[key], **self.how)
        return given

    def dumped(self, value: Any) -> Any:
        """Dump a returned model where the body is annotated with it."""
        is_model = self.returned is not None and isinstance(value, self.returned)
        return value.model_dump(**self.dump) if is_model else value


def dumped(value: Any) -> Any:
    """Return a value with the models in it, also those in lists and dicts, as what JSON can hold."""
    if isinstance(value, base_model()):
        return value.model_dump(mode="json")
    if isinstance(value, dict):
        return {key: dumped(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [dumped(item) for item in value]
    return value


def _signature(function: Callable[..., Any], name: str) -> inspect.Signature:
    try:
        return inspect.signature(function, eval_str=True)
    except NameError as error:
        raise ImproperlyConfigured(
            f"task {name!r} has pydantic=True, but its annotations cannot be read where it is defined: {error}"
        ) from error


def _model_of(annotation: Any) -> Any:
    """Return the model of an annotation, also of one that allows None besides, or None."""
    if typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        others = [each for each in typing.get_args(annotation) if each is not type(None)]
        annotation = others[0] if len(others) == 1 else None
    return annotation if isinstance(annotation, type) and issubclass(annotation, base_model()) else None
