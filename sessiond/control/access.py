"""Who may do what on the control socket, by the kernel's word of who they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sessiond.system.peer import AllowList, Peer


class Right(StrEnum):
    """What an operation needs."""

    READ = "read"
    ADMINISTER = "administer"  # revoke, forgive, forget and explain


@dataclass(frozen=True, slots=True)
class Access:
    """The readers and the administrators. Root and the daemon's own user are both, always."""

    readers: AllowList | None  # None: whoever the socket's mode lets in
    admins: AllowList

    @classmethod
    def of(cls, *, readers: Sequence[str | int], admins: Sequence[str | int]) -> "Access":
        """Look the names up: of users, or of groups where they begin with `@`.

        Raises:
            NotNowError: No such user or group is found here now.
        """
        return cls(
            readers=AllowList.listed("listen.control_readers", readers) if readers else None,
            admins=AllowList.listed("listen.control_admins", admins),
        )

    def permits(self, peer: Peer, right: Right) -> bool:
        """Say whether a peer has a right. Administrators may read too."""
        if self.admins.admits(peer):
            return True
        if right is Right.ADMINISTER:
            return False
        return self.readers is None or self.readers.admits(peer)
