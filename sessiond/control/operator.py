"""Who gives an order, with the name that the host knows the number by."""

import pwd
from http import HTTPStatus

import anyio
import anyio.to_thread

from sessiond.control.problem import Problem
from sessiond.core.events import Operator
from sessiond.core.principal import looks_like_token
from sessiond.core.printable import escaped
from sessiond.system.peer import Peer

WITHIN = 1.0  # seconds; a directory service that hangs keeps no order from being carried out
MAX_NAME = 256  # characters


async def operator_of(peer: Peer) -> Operator:
    """Return who it is; where the host does not say in time, the number alone."""
    name = ""
    with anyio.move_on_after(WITHIN):
        name = await anyio.to_thread.run_sync(_name_of, peer.uid, abandon_on_cancel=True)
    return Operator(uid=peer.uid, name=name)


def _name_of(uid: int) -> str:
    try:
        return escaped(pwd.getpwuid(uid).pw_name)[:MAX_NAME]
    except KeyError:
        return ""


def check_words(words: str) -> None:
    """See that an operator's words can be shown to everybody who reads the events.

    Raises:
        Problem: They cannot.
    """
    if looks_like_token(words):
        raise Problem(HTTPStatus.BAD_REQUEST, "reason: there is something like a token in it")
    if not words.isprintable():
        raise Problem(
            HTTPStatus.BAD_REQUEST,
            "reason: there is something in it that cannot be shown (a mark of direction?)",
        )
