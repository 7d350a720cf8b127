"""Two q processes at one daemon, and tickets from the one to the other."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sessiond.testing import FakeProcess
from tests import canary
from tests.issuer.running import ALICE, RunningIssuer
from tests.peers import PeerFarm
from tests.running_daemon import RunningDaemon, configuration

GATEWAY, BACKEND = "gateway1", "rdb1"
ROLES = '[issuer.roles]\ntrader = "trading"\n"session.login" = "login"\n'
PEERS = f"peers = [{os.geteuid()}]\n"
GUARDED = f'[[access.process]]\nname = "rdb*"\n{PEERS}'
FOR_RDBS = 'audiences = ["rdb*"]\n'


def with_tickets(
    issuer: RunningIssuer, keys: str = "", *, access: str = GUARDED, extra: str = "", **tables: str
) -> str:
    """Return a configuration with tickets for processes whose names begin with rdb."""
    tables = {"tickets": FOR_RDBS + keys, **tables}
    return configuration(issuer, extra=extra + ROLES, **tables) + access


@dataclass
class Estate:
    """A gateway, where people sign in, and a backend."""

    gateway: FakeProcess
    backend: FakeProcess

    def ticket(self, session: UUID, audience: str = BACKEND) -> str:
        """Return a ticket of a session of the gateway's."""
        answer = self.gateway.ticket(session, audience)
        assert answer["ok"], answer["reason"]
        return remembered(answer["ticket"])

    def refused(self, session: UUID, audience: str = BACKEND) -> str:
        """Return why there is none."""
        answer = self.gateway.ticket(session, audience)
        assert set(answer) == {"ok", "ticket", "expires", "reason"}
        assert (answer["ok"], answer["ticket"], answer["expires"]) == (False, "", -(2**63))
        return str(answer["reason"])

    def hop(self, session: UUID, handle: int = 7, *, user: str = ALICE) -> dict[str, Any]:
        """Go on from a session at the gateway to the backend."""
        return self.backend.log_in(user, self.ticket(session), handle)


def remembered(ticket: str) -> str:
    """Return a ticket that is looked for from now on where none may be."""
    canary.remember(ticket, "ticket")
    return ticket


@contextmanager
def estate(
    daemon: RunningDaemon, *, names: tuple[str, str] = (GATEWAY, BACKEND)
) -> Iterator[Estate]:
    """Yield two processes that have said who they are."""
    with PeerFarm(daemon.address, 2) as farm:
        first, second = (
            FakeProcess(each, name=name) for each, name in zip(farm.sockets, names, strict=True)
        )
        for each in (first, second):
            each.hello()
        yield Estate(first, second)
