"""The processes behind a gateway: it asks them as whoever asks it, each on a handle of his own.

What plugins/torq/asuser.q does in q: a ticket stands for the password there.
"""

import re
from collections.abc import Callable

from sessiond.core.errors import CallError
from sessiond.core.secret import Secret
from sessiond.demo.client import Client, TurnedAwayError
from sessiond.qipc import QError, Value, text

_ASKED = re.compile(r'\.asuser\.query\[`(\w+);"(.*)"\]', re.DOTALL)

TicketOf = Callable[[str], Secret | QError]  # by the other process's name


class Behind:
    """One gateway's. Blocking, as q's own calls are."""

    def __init__(self) -> None:
        self._ports: dict[str, tuple[str, int]] = {}  # by type of process: its name, and where
        self._open: dict[tuple[int, str], Client] = {}  # by whose handle here, and the name there

    def know(self, kind: str, name: str, port: int) -> None:
        """Remember where a process of a type listens."""
        self._ports[kind] = (name, port)

    def answer(
        self, asked: tuple[str, str], *, user: str, handle: int, ticket: TicketOf
    ) -> Value | QError:
        """Return what a process behind answers to whoever asks here.

        Args:
            asked: Of which type of process, and the query.
            user: Whose .z.u it is.
            handle: His, here.
            ticket: Gets him one for a process.
        """
        kind, query = asked
        if kind not in self._ports:
            return QError("asuser: no server of this type is up")
        name, port = self._ports[kind]
        self._forget([key for key, client in self._open.items() if client.has_ended()])
        try:
            if (handle, name) not in self._open:
                password = ticket(name)
                if isinstance(password, QError):
                    return password
                self._open[handle, name] = Client(port, user, password)
            return self._open[handle, name].ask(query)
        except (TurnedAwayError, OSError):
            self._open.pop((handle, name), None)
            return QError(f"asuser: {name} lets nobody in")

    def left(self, handle: int) -> None:
        """Close what was opened for a handle's user."""
        self._forget([key for key in self._open if key[0] == handle])

    def _forget(self, keys: list[tuple[int, str]]) -> None:
        for key in keys:
            self._open.pop(key).close()


def asked_behind(query: Value) -> tuple[str, str] | None:
    """Return which type of process a query is for, and what it asks there; None: for this one."""
    try:
        found = _ASKED.fullmatch(text(query).strip())
    except CallError:
        return None
    return None if found is None else (found[1], found[2])
