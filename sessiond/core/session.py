"""A principal's standing on one handle of one process, and the process it stands in."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NewType
from uuid import UUID

from msgspec import Struct

from sessiond.core.evidence import Evidence
from sessiond.core.grant import GrantId, TokenHash
from sessiond.core.principal import Principal

SessionId = NewType("SessionId", UUID)


class ProcessKey(Struct, frozen=True, gc=False):
    """Who a process is, across reconnects: what the kernel says, not what it says itself."""

    uid: int
    pid: int  # 0 where the kernel does not tell: a peer in another pid namespace
    started: int  # clock ticks after boot (proc(5), starttime); tells a reused pid apart
    label: str = ""  # stands in for an unknown pid: name and connection


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessAbout:
    """What a process says of itself in `hello`: for people to read, and for `[access]`."""

    name: str
    type: str
    host: str
    pid: int


class SessionState(StrEnum):
    UNBOUND = "unbound"  # accepted by connect, not yet opened
    OPEN = "open"
    WAITING = "waiting"  # its process is gone and may come back
    WEB = "web"  # of requests over HTTP: it has no handle, and a WebLogin beside it


class Session(Struct, frozen=True, gc=False):
    """From login to close. How long it may last is its grant's lease.

    That of an access token that came alone, or of the refresh token that the session brought.
    There may be very many: so it is small and soon made, like the other rows that come with it,
    and nothing that Python's collector has to look at.
    """

    id: SessionId
    process: ProcessKey
    about: ProcessAbout
    principal: Principal
    grant: GrantId
    access: TokenHash  # of the access token it came with, or was last renewed with
    handle: int  # kdb+'s .z.w; 0 = not known
    address: int  # kdb+'s .z.a: IPv4 as an int
    state: SessionState
    since: datetime  # when it was accepted; once open, when it was opened
    until: datetime | None  # unbound, waiting, web: when it ends if nothing comes
    roles: tuple[str, ...]  # what its user may do there
    attributes: Mapping[str, str]
    typed: str  # the name as it was typed: what the process calls the user
    assigned: Evidence  # roles by token and role sources, of which access makes `roles`
    protected: tuple[str, ...]  # those of them that are kept from its user: the operator's to give
    told: tuple[str, ...] | None  # the roles that its process surely knows; None: nobody knows
    parent: SessionId | None = None  # the session that let it in: it ends with that one
    hops: int = 0  # tickets between its user's sign-in and it; 0: none brought it
    auth_time: datetime | None = None  # when the user signed in, as its newest verdict has it
    acr: tuple[str, ...] = ()  # and how (OpenID Connect Core, 2)

    @property
    def may_as_parent(self) -> bool:
        """Say whether a ticket of its parent's brought it: it may do nothing that one may not.

        Its principal, grant and access token are that one's, and so is what its token says.
        """
        return self.hops > 0 and self.parent is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveSession:
    """A session as it stands, with the end of its lease."""

    session: Session
    expires_at: datetime
