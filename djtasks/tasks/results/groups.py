"""Several results as one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

from djtasks.broker.revoke import Answer
from djtasks.domain import states
from djtasks.domain.identifiers import as_uuid, signal_name
from djtasks.tasks.results.joining import Joined
from djtasks.tasks.results.nodes import forget
from djtasks.tasks.results.record import load, states_of
from djtasks.tasks.revoking import revoke_workflow

if TYPE_CHECKING:
    from djtasks.tasks.results.result import AsyncResult, GroupResult

    Member: TypeAlias = AsyncResult | GroupResult


class ResultSet(Joined):
    """Tasks, and groups of tasks, whose states and values are read together, a thousand in one statement."""

    def __init__(self, results: Iterable[Member] = ()) -> None:
        self.results: list[Member] = list(results)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self.results)} members>"

    def __eq__(self, other: object) -> bool:
        return other.results == self.results if isinstance(other, ResultSet) else NotImplemented

    # Members

    def __iter__(self) -> Iterator[Member]:
        return iter(self.results)

    def __len__(self) -> int:
        return len(self.results)

    def __getitem__(self, place: int) -> Member:
        return self.results[place]

    def add(self, result: Member) -> None:
        """Add a member, unless it is one already."""
        if result not in self.results:
            self.results.append(result)

    def update(self, results: Iterable[Member]) -> None:
        """Add those that are no members yet."""
        known = {each.id for each in self.results}
        for result in results:
            if result.id not in known:
                known.add(result.id)
                self.results.append(result)

    def remove(self, result: Member | str) -> None:
        """Remove a member, or the one of this id; raise KeyError if it is none."""
        try:
            self.results.remove(result)  # type: ignore[arg-type]
        except ValueError:
            raise KeyError(result) from None

    def discard(self, result: Member | str) -> None:
        """Remove a member if it is one."""
        if result in self.results:
            self.remove(result)

    def clear(self) -> None:
        """Remove all members."""
        self.results.clear()

    # States (RES-12)

    def ready(self) -> bool:
        """Say whether all have ended."""
        return self._all(lambda state: state is not None)

    def successful(self) -> bool:
        """Say whether all have succeeded."""
        return self._all(lambda state: state == states.SUCCESS)

    def failed(self) -> bool:
        """Say whether any has failed."""
        return not self._all(lambda state: state != states.FAILURE)

    def waiting(self) -> bool:
        """Say whether any has not ended yet."""
        return not self.ready()

    def completed_count(self) -> int:
        """Count the members that have succeeded."""
        ends = states_of(self._leaves())
        return sum(all(ends.get(leaf.id) == states.SUCCESS for leaf in each._leaves()) for each in self.results)

    def _all(self, fits: Callable[[str | None], bool]) -> bool:
        leaves = self._leaves()
        ends = states_of(leaves)
        return all(fits(ends.get(leaf.id)) for leaf in leaves)

    def maybe_throw(self, callback: Callable[[str, Any], Any] | None = None, propagate: bool = True) -> None:
        """Raise what the first of those that have ended has raised; tell ``callback`` the values of the others."""
        leaves = self._leaves()
        load(leaves)
        for leaf in leaves:
            if leaf._ended is not None:
                leaf.maybe_throw(propagate, callback)

    maybe_reraise = maybe_throw

    # Changing

    def revoke(self, terminate: bool = False, signal: str | int = "SIGTERM") -> dict[str, Answer]:
        """Revoke all members, and what precedes them; return each task's answer, as that of ``AsyncResult.revoke``."""
        ids = [as_uuid(leaf.id) for leaf in self._leaves() if leaf._stored]
        answers = revoke_workflow(ids, terminate=signal_name(signal) if terminate else "")
        return {str(each): answer for each, answer in answers.items()}

    def forget(self) -> None:
        """Delete the results of all members, and of their given parents (RES-10)."""
        forget(self.results)
