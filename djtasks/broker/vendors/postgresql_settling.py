"""What has ended, sorted by how it is written: a statement for plain successes, and one for everything else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import attrgetter

from djtasks.broker.vendors import postgresql_parameters as parameters
from djtasks.broker.vendors import postgresql_statements as sql
from djtasks.broker.vendors import postgresql_workflows as workflows
from djtasks.broker.vendors.postgresql_session import Rows, Statement
from djtasks.conf import settings
from djtasks.domain.messages import Token
from djtasks.domain.outcomes import Ending, Settlement, Success, ending_of

# Where an id says its version, and what those say that are made here.
_VERSION, _OURS = 14, "7"


class Settling:
    """Settlements as they are written: plain successes, other endings, and what goes back to its queue.

    With ``all_new`` it is trusted that none of the successes has a result yet, except where a caller has chosen the id,
    who may have done so before.
    """

    def __init__(
        self, settlements: Sequence[Settlement], hostname: str, retention: float | None, *, all_new: bool
    ) -> None:
        self.hostname, self.retention = hostname, retention
        # Each in the order of the tokens, so that nobody locks crosswise.
        self.successes: list[Settlement] = []
        self.endings: list[Ending] = []
        self.back: list[Settlement] = []
        self.feeding: list[str] = []
        for settlement in sorted(settlements, key=attrgetter("token")):
            token, outcome, _, _ = settlement
            if all_new and type(outcome) is Success and outcome.keep and token.id[_VERSION] == _OURS:
                self.successes.append(settlement)
            elif ending := ending_of(settlement):
                self.endings.append(ending)
            else:
                self.back.append(settlement)
            if settlement.unblocks:
                self.feeding.append(token.id)

    def statements(self) -> Iterator[Statement]:
        """Give the statements that write them."""
        if self.successes:
            yield sql.END_SUCCESSES, parameters.of_successes(self.successes, self.hostname, self.retention)
        if self.endings:
            yield sql.END, parameters.of_endings(self.endings, self.hostname, self.retention)
        if self.back:
            yield sql.PUT_BACK, parameters.of_put_backs(self.back)
        if self.feeding:
            fed = {"id": parameters.plain(self.feeding), "announce": settings.NOTIFY is not False}
            yield workflows.LOCK_DEPENDENTS, fed
            yield workflows.UNBLOCK, fed

    def written(self, answers: Iterator[Rows]) -> set[Token]:
        """Read from the answers to those statements what was written."""
        tokens: set[Token] = set()
        if self.successes:
            tokens |= _gone(self.successes, next(answers))
        if self.endings:
            tokens |= _gone(self.endings, next(answers))
        if self.back:
            tokens |= {Token(*row) for row in next(answers)}
        return tokens


def _gone(ended: Sequence[Settlement | Ending], rows: Rows) -> set[Token]:
    """Read how many are gone, and which, unless all are."""
    if max(row[0] or 0 for row in rows) == len(ended):
        return {each.token for each in ended}
    return {Token(*row[1:3]) for row in rows if row[0] is None}
