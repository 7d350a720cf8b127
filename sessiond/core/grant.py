"""What an issuer granted one principal through one client. Sessions hang on grants."""

from datetime import datetime
from typing import NewType
from uuid import UUID

from msgspec import Struct

from sessiond.core.lease import Lease

GrantId = NewType("GrantId", UUID)
TokenHash = NewType("TokenHash", bytes)  # HMAC-SHA256: tokens are looked up by it, never by text


class Grant(Struct, frozen=True, gc=False):
    """A refresh token, where there is one, and the lease of the current access token.

    Several sessions share a grant when they brought the same tokens: refreshing once for all of
    them is what keeps them alive at an issuer that rotates tokens and detects reuse. A session that
    brought an access token alone hangs on a grant of that token alone: nothing prolongs it.
    """

    id: GrantId
    issuer: str
    subject: str
    client: str  # the client the tokens were issued to: refresh tokens are bound to it
    lease: Lease
    has_refresh_token: bool = False  # the store has it, sealed, and gives it to who spends it
    refresh_at: datetime | None = None  # None: nothing to refresh with
    proven: bool = False  # a refresh has shown that the refresh token is this principal's
    in_flight_since: datetime | None = None  # the issuer has been asked, its answer is not here
    iss: str = ""  # whom `issuer` named then: the name may be another's now. Empty: not kept then

    @property
    def is_unproved(self) -> bool:
        """Say whether it has a refresh token that no refresh has shown to be this principal's."""
        return self.has_refresh_token and not self.proven


class KnownToken(Struct, frozen=True, gc=False):
    """The trace of a token that was seen: enough to know it again, not to use it."""

    hash: TokenHash
    grant: GrantId | None  # None: its grant is gone, or it is an access token that came in pairs
    seen_at: datetime
    keep_until: datetime  # after this nobody could be let in with it
    is_refused: bool = False  # the issuer refused it: never sent again, nobody comes in with it
    came_with: tuple[TokenHash, ...] = ()  # an access token: the refresh tokens of its logins
