"""What the room goes by, and what it needs of the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from sessiond.config import SourceConfig
from sessiond.core.changes import Change
from sessiond.core.errors import StoreError
from sessiond.core.patterns import Patterns
from sessiond.core.queries import Request
from sessiond.sources.authorizing import SourceAuthorizer
from sessiond.sources.source import Source
from sessiond.system.peer import AllowList

A = TypeVar("A")


class Table(Protocol):
    """Keeps what must last, as `sessiond.table.Table`."""

    async def ask(self, request: Request[A]) -> A:
        """Return the answer, once it is on disk.

        Raises:
            StoreError: Nothing of it is.
        """
        ...

    async def ask_all(self, changes: Sequence[Change[A]]) -> list[A | StoreError]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningSource:
    """One source at work, and who may have its token."""

    config: SourceConfig
    source: Source
    processes: Patterns
    readers: AllowList | None = None  # None: nobody
    authorizer: SourceAuthorizer | None = None  # None: no operator can sign in for it


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSettings:
    """What is configured."""

    sources: Mapping[str, RunningSource] = field(default_factory=dict)
    waiting: int = 4  # askings of one process that wait for issuers at a time
