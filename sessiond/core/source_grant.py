"""What an issuer has granted this host itself, to fetch tokens for a data source with."""

from datetime import datetime

from msgspec import Struct

from sessiond.core.grant import TokenHash


class SourceGrant(Struct, frozen=True, gc=False):
    """The newest refresh token of a source; it is sealed beside this."""

    name: str  # the source's
    client: str  # the client that it was issued to
    seed: TokenHash | None  # of the file's text that was seen last, which is spent; None: of none
    kept_at: datetime
    in_flight_since: datetime | None = None  # the issuer has been asked, its answer is not here
    is_refused: bool = False  # the issuer refused it: never sent again
