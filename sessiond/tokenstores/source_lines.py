"""The token of a data source as a token store shows it: the lines that CData's drivers read.

A driver finds in the context `source:NAME` what it would have written itself after a sign-in, and
so needs no client of its own: name=value lines, as for tokens that another program obtained.
"""

from datetime import UTC, datetime
from typing import Protocol

from sessiond.core.secret import Secret

PREFIX = "source:"  # of the contexts that nobody writes
NOT_HERE = "credentials"  # the one name of CData's that no token is of
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class SourceToken(Protocol):
    """An access token for a data source."""

    @property
    def token(self) -> Secret:
        """The text itself."""
        ...

    @property
    def expires_at(self) -> datetime:
        """Until when it is good, aware UTC."""
        ...


def lines_of(token: SourceToken, *, now: datetime) -> bytes:
    """Return the lines.

    Args:
        token: As it was fetched.
        now: A driver counts the seconds from the timestamp, so both are of the moment of reading.
    """
    left = max(0, int((token.expires_at - now).total_seconds()))
    values = {
        "oauthaccesstoken": token.token.reveal(),
        "oauthexpiresin": left,  # seconds
        "oauthtokentimestamp": int((now - EPOCH).total_seconds() * 1000),  # ms
    }
    return "".join(f"{name}={value}\n" for name, value in values.items()).encode()
