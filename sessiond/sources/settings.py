"""What the room goes by."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sessiond.config import SourceConfig
from sessiond.core.patterns import Patterns
from sessiond.sources.authorizing import SourceAuthorizer
from sessiond.sources.source import Source
from sessiond.system.peer import AllowList


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningSource:
    """One source at work, and who may have its token."""

    config: SourceConfig
    source: Source
    processes: Patterns = field(compare=False)  # as `config` has them
    readers: AllowList | None = None  # None: nobody
    authorizer: SourceAuthorizer | None = None  # None: no operator can sign in for it


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSettings:
    """What is configured."""

    sources: Mapping[str, RunningSource] = field(default_factory=dict)
    waiting: int = 4  # askings of one process that wait for issuers at a time
