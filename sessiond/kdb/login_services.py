"""What logins and renewals work with."""

from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

from sessiond.clock import Clock
from sessiond.core.grant import TokenHash
from sessiond.core.secret import Secret
from sessiond.core.session import ProcessAbout, ProcessKey
from sessiond.gate import Gate
from sessiond.metrics import Metrics
from sessiond.refresher import Refresher
from sessiond.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginServices:
    """One for all processes."""

    table: Table
    gate: Gate
    refresher: Refresher
    clock: Clock
    hashed: Callable[[Secret], TokenHash]
    draw: Callable[[], float]  # uniform in [0, 1)
    new_id: Callable[[], UUID]
    proved: Callable[[], frozenset[str]]  # issuers of now whose tokens a refresh proves at once
    metrics: Metrics = field(default_factory=Metrics)


@dataclass(frozen=True, slots=True)
class Owner:
    """The process whose call it is."""

    key: ProcessKey
    about: ProcessAbout
