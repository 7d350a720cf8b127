"""Role sources that say what they were told."""

import threading
from dataclasses import dataclass, field
from datetime import datetime

import anyio
from anyio.abc import TaskGroup

from sessiond.api import Granted, Principal, RoleSource
from sessiond.clock import Clock
from sessiond.containment import Containment
from sessiond.core.errors import IssuerUnavailable, TokenRejected
from sessiond.extensions.roles import AskedSource

Said = Granted | Exception


@dataclass
class ScriptedSource:
    """An async RoleSource."""

    says: Said = field(default_factory=lambda: Granted(roles=["reader"]))
    asked: list[str] = field(default_factory=list)
    held: anyio.Event | None = None
    stops: int = 0

    async def roles(self, principal: Principal, *, now: datetime) -> Granted:
        self.asked.append(principal.name)
        if self.held is not None:
            await self.held.wait()
        if isinstance(self.says, Exception):
            raise self.says
        return self.says

    def stop(self) -> None:
        self.stops += 1


@dataclass
class PlainSource:
    """A RoleSource that blocks."""

    says: Said = field(default_factory=lambda: Granted(roles=["reader"]))
    threads: list[str] = field(default_factory=list)
    hang: threading.Event | None = None

    def roles(self, principal: Principal, *, now: datetime) -> Granted:
        self.threads.append(threading.current_thread().name)
        if self.hang is not None:
            self.hang.wait()
        if isinstance(self.says, Exception):
            raise self.says
        return self.says


def asked(
    source: RoleSource,
    clock: Clock,
    tasks: TaskGroup | None = None,
    *,
    name: str = "ldap",
    deadline: float = 5.0,
    cache: float = 60.0,
    stale: float = 0.0,
) -> AskedSource:
    """Return a source that is asked in these tasks; None: it is not asked yet."""
    asked = AskedSource(
        source,
        name=name,
        plugin="acme",
        deadline=deadline,
        cache=cache,
        stale=stale,
        clock=clock,
        containment=Containment(),
    )
    if tasks is not None:
        asked.begin(tasks)
    return asked


async def said(source: AskedSource, principal: Principal, now: datetime) -> str:
    """Return the roles, or which error it was."""
    try:
        return " ".join((await source.answer(principal, now=now)).granted.roles)
    except (TokenRejected, IssuerUnavailable) as error:
        return f"{type(error).__name__}: {error}"
