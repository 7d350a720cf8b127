"""Whose processes may say which name: a ceiling holds only where nobody else can say its name."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import structlog

from sessiond.core.access import AccessRules
from sessiond.core.printable import seen
from sessiond.core.session import ProcessAbout
from sessiond.system.peer import AllowList, Peer

REMEMBERED: Final = 4096  # processes that were refused a name, so that each is told of once

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class NameRules:
    """Which ceiling is a process's by what it says, and who may say so."""

    access: AccessRules = field(default_factory=AccessRules)
    peers: tuple[AllowList | None, ...] = ()  # of each ceiling; None: anybody

    def admit(self, peer: Peer, about: ProcessAbout) -> bool:
        """Say whether a process of this peer may call itself so."""
        if not any(self.peers):
            return True
        number = self.access.number_of(about.name, about.type)
        allowed = None if number is None else self.peers[number]
        return allowed is None or allowed.admits(peer)

    def advice(self, about: ProcessAbout) -> str:
        """Return what a process that was refused a name is told."""
        number = self.access.number_of(about.name, about.type)
        return (
            f"the name {seen(about.name)} is not for this user: run q as one of the peers of "
            f"access.process[{0 if number is None else number + 1}], or under another name"
        )


class ProcessAccess:
    """Judges who says hello, by the rules of now, and keeps account of who was refused."""

    def __init__(self, rules: Callable[[], NameRules] = NameRules) -> None:
        self._rules = rules
        self._told = OrderedDict[tuple[int, int, int], None]()
        self.refused = 0  # processes since the start

    def refusal_of(self, peer: Peer, about: ProcessAbout) -> str | None:
        """Return why a process may not call itself so, and what to do; None: it may.

        A process that is refused comes again every few seconds. It is logged and counted once.
        """
        rules = self._rules()
        if rules.admit(peer, about):
            return None
        key = (peer.uid, peer.pid, peer.started)
        if key not in self._told:
            self.refused += 1
            self._told[key] = None
            log.warning(
                "process refused: not its name",
                process=about.name,
                type=about.type,
                uid=peer.uid,
                pid=peer.pid,
                refused=self.refused,
            )
        self._told.move_to_end(key)
        if len(self._told) > REMEMBERED:
            self._told.popitem(last=False)
        return rules.advice(about)
