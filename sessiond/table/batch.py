"""Decisions that are not on disk yet: what they write and tell, and what takes them back."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec import structs

from sessiond.core.changes import (
    Close,
    Disown,
    DropRefreshToken,
    EndCovered,
    EndOrphans,
    EndSessions,
    Expire,
    ProcessLost,
    ProcessMet,
    Reassess,
    Reconcile,
    Refuse,
    RefuseSource,
    Revoke,
    SignOut,
    Withdraw,
)
from sessiond.core.decide import Notice
from sessiond.core.queries import Request
from sessiond.core.rows import Write
from sessiond.table.agenda import Submission

FULL = 256  # writes and events of one transaction; it may end with a large decision

# What takes access away, and so does not wait for a disk that is full.
ENDING = (
    Close,
    Disown,
    EndSessions,
    EndCovered,
    EndOrphans,
    Expire,
    DropRefreshToken,
    ProcessLost,
    ProcessMet,
    Reassess,  # what it gives back was given by the operator before, and will be at a start
    Reconcile,
    Refuse,
    RefuseSource,
    Revoke,
    SignOut,
    Withdraw,
)
# What a process that comes back asks for. It gives nobody new access, and after a crash the process
# says it all again: so it is answered before it is on disk, where the disk is full.
RETURNING = (ProcessLost, ProcessMet, Reconcile)


@dataclass(frozen=True, slots=True)
class Decided:
    """What came of one submission: an answer, or the rest of it."""

    submission: Submission[Any]
    answer: Any
    rest: Request[Any] | None


@dataclass(slots=True)
class Batch:
    """Collects decisions, each on the rows that the one before has left."""

    decided: list[Decided] = field(default_factory=list)
    writes: list[Write] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    undo: list[Write] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        return not self.writes and not self.notices

    @property
    def is_large(self) -> bool:
        """Whether it took so long that others should have their turn before it is written."""
        return self.is_full or any(each.rest is not None for each in self.decided)

    @property
    def is_full(self) -> bool:
        return len(self.writes) + len(self.notices) >= FULL


def numbered_after(sequence: int, notices: Sequence[Notice]) -> list[Notice]:
    """Return notices with the numbers of their events, which follow this one."""
    return [
        Notice(structs.replace(notice.event, sequence=number), notice.push_to)
        for number, notice in enumerate(notices, sequence + 1)
    ]
