"""The handles of what was sent: a task, a group of tasks, and a task that was run here and now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar
from uuid import UUID

from django.utils import timezone

from djtasks.broker import requeue as broker_requeue
from djtasks.broker.revoke import Answer
from djtasks.domain import states
from djtasks.domain.batches import batches
from djtasks.domain.identifiers import as_uuid, signal_name, uuid7
from djtasks.models import Message, Result
from djtasks.tasks.results.awaited import Awaited
from djtasks.tasks.results.graphs import Tree
from djtasks.tasks.results.groups import ResultSet
from djtasks.tasks.results.nodes import Node, forget
from djtasks.tasks.results.record import BATCH, Identified, rows_of
from djtasks.tasks.revoking import revoke_workflow


class AsyncResult(Awaited):
    """A task by its id: what is known of it is read from its message while it lives, then from its result.

    An id that nobody knows reads PENDING, and ``exists()`` is false.
    """

    def _leaves(self) -> list[Awaited]:
        return [self]

    def _found_parent(self) -> AsyncResult | GroupResult | None:
        record = self._record()
        if record is None:
            return None
        header = record.options.get("header") if isinstance(record.options, dict) else None
        if header is not None and (group := GroupResult.restore(header)) is not None:
            return group
        return AsyncResult(record.parent) if record.parent else None

    @staticmethod
    def _families(nodes: Sequence[Tree]) -> Iterator[tuple[Tree, Sequence[Tree]]]:
        return _families(nodes)

    def revoke(self, terminate: bool = False, signal: str | int = "SIGTERM") -> Answer:
        """Revoke the task: "revoked" (its body never begins), "requested" (it may be running) or "too_late".

        What it waits for is revoked with it, unless others wait for that, too. With ``terminate`` a body that runs is
        ended, in a pool of processes by this signal (WORK-9). Without it a body is only told, and may ask
        ``is_revoked()``. Raises ValueError for a signal that does not exist.
        """
        message_id = as_uuid(self.id)
        return revoke_workflow([message_id], terminate=signal_name(signal) if terminate else "")[message_id]

    def requeue(self) -> broker_requeue.Answer:
        """Run an ended task again under its own id: "requeued", "alive" (it has not ended) or "unknown"."""
        answer = broker_requeue.requeue(as_uuid(self.id))
        self._ended = None
        return answer


class GroupResult(Identified, ResultSet, Tree):
    """A group of tasks by its id. There is nothing to save: its members' rows tell of it (RES-13)."""

    def __init__(
        self, id: str | UUID | None = None, results: Iterable[Any] | None = None, parent: Node | None = None
    ) -> None:
        super().__init__(results or ())
        self.id = str(uuid7() if id is None else as_uuid(id))
        self._parent = parent

    @classmethod
    def restore(cls, id: str | UUID) -> GroupResult | None:
        """Find the members of a group in their order; None where nothing is known of it."""
        ids: set[UUID] = set()
        # The messages first, since they become results.
        for table in (Message, Result):
            ids.update(rows_of(table).filter(group=as_uuid(id)).values_list("pk", flat=True))
        return cls(id, [AsyncResult(pk) for pk in sorted(ids)]) if ids else None

    def save(self) -> GroupResult:
        """Do nothing: it is saved as soon as it is sent."""
        return self

    def delete(self) -> None:
        """Do nothing: there is nothing but its members; ``forget`` deletes their results."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.id} of {len(self.results)}>"

    def __bool__(self) -> bool:
        # An empty group is a result all the same.
        return True

    def forget(self) -> None:
        """Delete the results of all members, and of all given parents (RES-10)."""
        forget([self, *self.results])

    def _found_parent(self) -> AsyncResult | None:
        parents: set[UUID | None] = set()
        for table in (Message, Result):
            parents.update(rows_of(table).filter(group=self.id).values_list("parent", flat=True).distinct())
        (parent,) = parents if len(parents) == 1 else (None,)
        return None if parent is None else AsyncResult(parent)

    def _members_as_tuples(self) -> list[Any]:
        return [member.as_tuple() for member in self.results]

    @staticmethod
    def _families(nodes: Sequence[Tree]) -> Iterator[tuple[Tree, Sequence[Tree]]]:
        return _families(nodes)


class EagerResult(AsyncResult):
    """The result of a task that was run here and now; nothing is read from the database."""

    _stored: ClassVar[bool] = False

    def __init__(
        self,
        id: str | UUID,
        value: Any,
        state: str,
        traceback: str | None = None,
        name: str | None = None,
        record: Result | None = None,
    ) -> None:
        super().__init__(id, task_name=name)
        self._value = value
        self._traceback = traceback
        self._ended: Result = record or Result(id=self.id, task=name or "", state=state, finished_at=timezone.now())

    @property
    def result(self) -> Any:
        """The value, or the exception."""
        return self._value

    info = result

    @property
    def traceback(self) -> str | None:
        """The traceback of the error, as text."""
        return self._traceback

    def ready(self) -> bool:
        """It has ended already."""
        return True

    def forget(self) -> None:
        """There is nothing to delete."""

    def revoke(self, terminate: bool = False, signal: str | int = "SIGTERM") -> Answer:
        """It has ended already."""
        return "too_late"

    def _found_parent(self) -> None:
        return None

    def _is_to_be_awaited(self, disable_sync_subtasks: bool, follow: bool) -> bool:
        return False

    def _outcome(self, propagate: bool) -> Any:
        if propagate and self.state in states.PROPAGATE_STATES and isinstance(self._value, BaseException):
            raise self._value
        return self._value


def result_from_tuple(told: Any) -> Any:
    """Make the handle that ``as_tuple`` has told of."""
    steps = []
    while told is not None and not isinstance(told, Node):
        named, members = told
        task_id, told = named if isinstance(named, (list, tuple)) else (named, None)
        steps.append((task_id, members))
    node = told
    for task_id, members in reversed(steps):
        if members is None:
            node = AsyncResult(task_id, parent=node)
        else:
            node = GroupResult(task_id, map(result_from_tuple, members), parent=node)
    return node


def _families(nodes: Sequence[Tree]) -> Iterator[tuple[Tree, Sequence[Tree]]]:
    children = _children([node.id for node in nodes if isinstance(node, AsyncResult)])
    for node in nodes:
        yield node, node.results if isinstance(node, GroupResult) else children.get(node.id, [])


def _children(ids: Sequence[str]) -> dict[str, list[AsyncResult | GroupResult]]:
    """Find by their parents those who have these as such; the whole of a group as one, in the place of its first."""
    rows: dict[UUID, tuple[UUID, UUID | None]] = {}
    for some in batches(ids, BATCH):
        for table in (Message, Result):
            found = rows_of(table).filter(parent__in=some).values_list("pk", "parent", "group")
            rows.update((pk, (parent, group)) for pk, parent, group in found)
    whole = _of_one_parent({group for _, group in rows.values() if group is not None})
    children: dict[str, list[AsyncResult | GroupResult]] = defaultdict(list)
    groups: dict[UUID, GroupResult] = {}
    for pk in sorted(rows):
        parent, group = rows[pk]
        if group is None or group not in whole:
            children[str(parent)].append(AsyncResult(pk))
            continue
        if group not in groups:
            groups[group] = GroupResult(group)
            children[str(parent)].append(groups[group])
        groups[group].results.append(AsyncResult(pk))
    return children


def _of_one_parent(groups: set[UUID]) -> set[UUID]:
    """Choose the groups whose members all came of the same; a last step of a chain has that chain's parent."""
    parents: dict[UUID, set[UUID | None]] = defaultdict(set)
    for some in batches(groups, BATCH):
        for table in (Message, Result):
            for group, parent in rows_of(table).filter(group__in=some).values_list("group", "parent").distinct():
                parents[group].add(parent)
    return {group for group, found in parents.items() if len(found) == 1}
