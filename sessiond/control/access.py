"""Who may do what on the control socket, by the kernel's word of who they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus

import structlog

from sessiond.control.problem import Problem
from sessiond.system.peer import AllowList, Peer

log = structlog.get_logger()


class Right(StrEnum):
    """What an operation needs."""

    CONNECT = "connect"  # nothing here: the operation has a list of its own (see `admit`)
    READ = "read"
    ADMINISTER = "administer"  # revoke, forgive, forget and explain


@dataclass(frozen=True, slots=True)
class Access:
    """The readers and the administrators. Root and the daemon's own user are both, always."""

    readers: AllowList | None  # None: whoever the socket's mode lets in
    admins: AllowList

    @classmethod
    def of(
        cls,
        *,
        readers: Sequence[str | int],
        admins: Sequence[str | int],
        must_name_readers: bool = False,
    ) -> "Access":
        """Look the names up: of users, or of groups where they begin with `@`.

        Args:
            readers: Where there are none, whoever the socket's mode lets in may read.
            admins: Who may administer.
            must_name_readers: That mode lets programs in that are there for tokens: without
                readers, nobody but root and the daemon's own user reads.

        Raises:
            NotNowError: No such user or group is found here now.
        """
        are_listed = readers or must_name_readers
        return cls(
            readers=AllowList.listed("listen.control_readers", readers) if are_listed else None,
            admins=AllowList.listed("listen.control_admins", admins),
        )

    def permits(self, peer: Peer, right: Right) -> bool:
        """Say whether a peer has a right. Administrators may read too."""
        if right is Right.CONNECT or self.admins.admits(peer):
            return True
        if right is Right.ADMINISTER:
            return False
        return self.readers is None or self.readers.admits(peer)


def admit(peer: Peer, allowed: AllowList, *, key: str, path: str) -> None:
    """See that an operation's own list names the peer.

    Args:
        peer: Who asks.
        allowed: The list.
        key: Its key in the configuration, for people to read.
        path: The operation's, as the log shows it.

    Raises:
        Problem: It does not.
    """
    if not allowed.admits(peer):
        raise refused(peer, key=key, path=path)


def refused(peer: Peer, *, key: str, path: str) -> Problem:
    """Return the answer for a peer whom a list does not name, once it is in the log."""
    log.warning("control request refused", uid=peer.uid, pid=peer.pid, path=path)
    told = f"user {peer.uid} is not among {key}, who may do that"
    return Problem(HTTPStatus.FORBIDDEN, told)
