"""What a signature holds, and how that is copied, changed and shown; how it is sent stands in ``signature``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from djtasks.domain.signatures import Call, Stream, called, copied, distinct, listed, merged, plain
from djtasks.tasks import registry
from djtasks.tasks.masking import shown_arguments
from djtasks.tasks.preparing import containers

if TYPE_CHECKING:
    from djtasks.tasks.task import Task

Args = Sequence[Any] | None
Kwargs = Mapping[str, Any] | None


def held(key: str) -> Any:
    """Make an attribute of what a signature holds under a key."""
    return property(lambda draft: draft[key], lambda draft, value: draft.__setitem__(key, value))


class Draft(dict[str, Any]):
    """A call that may still be changed: a dict that JSON can hold, and of which ``from_dict`` makes a signature again.

    One that is ``immutable`` takes neither the value of what ran before it nor arguments of a call.
    """

    TYPES: ClassVar[dict[str | None, type[Draft]]] = {}
    # Which of its kwargs hold signatures; those of a task are its own business.
    MEMBERS: ClassVar[tuple[str, ...]] = ()
    __slots__ = ()

    task: str = held("task")
    args: tuple[Any, ...] = held("args")
    kwargs: dict[str, Any] = held("kwargs")
    options: dict[str, Any] = held("options")
    subtask_type: str | None = held("subtask_type")
    immutable: bool = held("immutable")

    def __init__(
        self,
        task: Task | str | Mapping[str, Any],
        args: Args = None,
        kwargs: Kwargs = None,
        options: Kwargs = None,
        *,
        immutable: bool = False,
        **more: Any,
    ) -> None:
        if isinstance(task, Mapping):
            data = task
        else:
            name = task if isinstance(task, str) else task.name
            data = plain(name, *containers(name, args, kwargs), {**(options or {}), **more}, immutable=immutable)
        super().__init__(self._own(data))

    def __init_subclass__(cls, kind: str | None = "") -> None:
        if kind != "":
            Draft.TYPES[kind] = cls

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Any:
        """Make a signature of any kind of its data, which may have come from JSON."""
        if (kind := Draft.TYPES.get(data.get("subtask_type"))) is None:
            raise TypeError(f"there is no signature of the type {data['subtask_type']!r:.80}")
        made = kind.__new__(kind)
        dict.__init__(made, kind._own(data))
        return made

    @classmethod
    def _own(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        kwargs, options = dict(data.get("kwargs") or {}), _typed(data.get("options") or {})
        kwargs |= {name: as_signature(kwargs[name]) for name in cls.MEMBERS if name in kwargs}
        own = plain(data["task"], tuple(data.get("args") or ()), kwargs, options, immutable=bool(data.get("immutable")))
        return {**own, "subtask_type": data.get("subtask_type")}

    @property
    def id(self) -> str | None:
        """The id that it will have, if it has been chosen or frozen."""
        return self.options.get("task_id")

    @property
    def name(self) -> str:
        """The name of the task."""
        return self.task

    @property
    def type(self) -> Task:
        """The task; raises NotRegistered."""
        return registry.get(self.task)

    def items(self) -> Any:
        """Return what it holds, with its members as a list, so that any encoder can write it."""
        for name, value in self.kwargs.items():
            if isinstance(value, Stream):
                self.kwargs[name] = list(value)
        return super().items()

    def __json__(self) -> dict[str, Any]:
        return dict(self.items())

    # Changing

    def clone(self, args: Args = None, kwargs: Kwargs = None, **options: Any) -> Self:
        """Return a copy with these arguments before its own, and these options over its own."""
        self.items()
        call = Call(*containers(self.task, args, kwargs), options)
        new: Self = self.from_dict(copied(called(self, call)))
        return new

    partial = clone

    def replace(self, args: Args = None, kwargs: Kwargs = None, options: Kwargs = None) -> Self:
        """Return a copy with other arguments or options in the place of its own."""
        new = self.clone()
        given = {"args": args, "kwargs": kwargs, "options": options}
        new.update({name: value for name, value in given.items() if value is not None})
        return new

    def set(self, immutable: bool | None = None, **options: Any) -> Self:
        """Set options of the call; return the signature itself."""
        if immutable is not None:
            self.set_immutable(immutable)
        self.options.update(_typed(options))
        return self

    def set_immutable(self, immutable: bool) -> None:
        """Say whether it takes what others hand over."""
        self.immutable = immutable

    def link(self, callback: Mapping[str, Any]) -> Any:
        """Have the callback run with the value once this has succeeded (CANV-2); return the callback."""
        return self._add("link", callback)

    def link_error(self, errback: Mapping[str, Any]) -> Any:
        """Have the errback run once this has failed (CANV-3); return the errback."""
        return self._add("link_error", errback)

    def on_error(self, errback: Mapping[str, Any]) -> Self:
        """``link_error`` that returns the signature itself."""
        self.link_error(errback)
        return self

    def _add(self, name: str, other: Mapping[str, Any]) -> Any:
        other = as_signature(other)
        self.options[name] = distinct([*listed(self.options.get(name)), other])
        return other

    def flatten_links(self) -> list[Any]:
        """Return itself and all its callbacks, and theirs."""
        return [
            self,
            *(each for link in listed(self.options.get("link")) for each in as_signature(link).flatten_links()),
        ]

    # Showing

    def reprcall(self, *args: Any, **kwargs: Any) -> str:
        """Show the call that it will make, with these arguments before its own; secrets are masked (S10)."""
        merged_args, merged_kwargs, _ = merged(self, Call(args, kwargs), force=True)
        shown_args, shown_kwargs = shown_arguments(self.task, list(merged_args), dict(merged_kwargs))
        if not isinstance(shown_args, list):
            return f"{self.task}({shown_args})"
        named = [f"{name}={value!r}" for name, value in shown_kwargs.items()]
        return f"{self.task}({', '.join([*map(repr, shown_args), *named])})"

    def __repr__(self) -> str:
        return self.reprcall()


def _typed(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options with signatures for what is linked."""
    links = options.keys() & {"link", "link_error"}
    return {name: as_signature(listed(value)) if name in links else value for name, value in options.items()}


def as_signature(data: Any) -> Any:
    """Return a signature, or a list of them, of what may still be plain data; None and what is to be read stay so."""
    if isinstance(data, (list, tuple)):
        return [as_signature(each) for each in data]
    if isinstance(data, Draft | Stream) or data is None:
        return data
    if not isinstance(data, Mapping) or "task" not in data:
        raise TypeError(f"{data!r:.100} is no signature: task.s(…) makes one")
    return Draft.from_dict(data)
