"""Refresh tokens, sealed, each in a row of its own: no grant in memory has one."""

from collections.abc import Sequence
from typing import Any, Protocol
from uuid import UUID

import structlog

from sessiond.core.errors import StoreError
from sessiond.core.grant import Grant, GrantId
from sessiond.core.secret import Secret
from sessiond.store.codec import Parameters
from sessiond.store.sealing import NewerKeyError, SealError

log = structlog.get_logger()


class Sealer(Protocol):
    """Seals secrets so that a sealed value opens only in the place it was made for."""

    @property
    def current(self) -> int:
        """The id of the key that seals."""
        ...

    def seal(
        self, plain: Secret, *, table: str, column: str, row: str, issuer: str, subject: str
    ) -> bytes: ...

    def unseal(
        self, sealed: bytes, *, table: str, column: str, row: str, issuer: str, subject: str
    ) -> Secret: ...


def sealed_place(grant_id: UUID, issuer: str, subject: str) -> dict[str, str]:
    """Return what binds a sealed refresh token to its grant."""
    return {
        "table": "grants",  # where they were up to schema 3: what was sealed there opens still
        "column": "refresh_token",
        "row": str(grant_id),
        "issuer": issuer,
        "subject": subject,
    }


def write(grant: Grant, token: Secret, sealer: Sealer) -> Parameters:
    """Return the row that keeps a grant's refresh token."""
    sealed = sealer.seal(token, **sealed_place(grant.id, grant.issuer, grant.subject))
    return (grant.id.bytes, grant.issuer, grant.subject, sealed)


def read(grant: GrantId, row: Sequence[Any], sealer: Sealer) -> Secret | None:
    """Return a refresh token; one that does not open is lost, which ends no session early.

    Args:
        grant: Whose it is.
        row: Issuer, subject and the sealed token.
        sealer: Opens it.

    Raises:
        StoreError: It was sealed anew with a key that this sealer has not been given yet.
    """
    issuer, subject, sealed = row
    try:
        return sealer.unseal(sealed, **sealed_place(grant, issuer, subject))
    except NewerKeyError as error:
        raise StoreError(
            f"a refresh token does not open: {error}, wanted a key that this daemon has read: "
            "reload it (systemctl reload sessiond)"
        ) from error
    except SealError as error:
        log.error("refresh token lost", issuer=issuer, error=str(error))
        return None
