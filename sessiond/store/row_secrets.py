"""What is sealed beside rows, each in a row of its own: nothing in memory has it.

Refresh tokens of grants have a table of their own (refresh_tokens.py).
"""

import msgspec
import structlog

from sessiond.core.errors import StoreError
from sessiond.core.rows import Row
from sessiond.core.secret import Secret
from sessiond.core.source_grant import SourceGrant
from sessiond.core.stored_value import StoredValue
from sessiond.core.ticket import TicketKey
from sessiond.store.codec import CODECS, Parameters
from sessiond.store.refresh_tokens import Sealer
from sessiond.store.sealing import NewerKeyError, SealError

KINDS = (TicketKey, SourceGrant, StoredValue)

log = structlog.get_logger()


def sealed_place(kind: str, name: str) -> dict[str, str]:
    """Return what binds a sealed secret to its row."""
    return {"table": "secrets", "column": kind, "row": name, "issuer": "", "subject": ""}


def key_of(row: Row) -> tuple[str, str]:
    """Return the key of what is sealed beside a row: its kind, and its own key as JSON."""
    codec = CODECS[type(row)]
    return codec.name, msgspec.json.encode(codec.key(row)).decode()


def write(row: Row, secret: Secret, sealer: Sealer) -> Parameters:
    """Return the row that keeps a secret."""
    kind, name = key_of(row)
    return kind, name, sealer.seal(secret, **sealed_place(kind, name))


def read(row: Row, sealed: bytes, sealer: Sealer) -> Secret | None:
    """Return a secret; None, and an error in the log: it does not open, and so is lost.

    Raises:
        StoreError: It was sealed anew with a key that this sealer has not been given yet.
    """
    kind, name = key_of(row)
    try:
        return sealer.unseal(sealed, **sealed_place(kind, name))
    except NewerKeyError as error:
        raise StoreError(
            f"what is sealed beside a {kind} does not open: {error}, wanted a key that this daemon "
            "has read: reload it (systemctl reload sessiond)"
        ) from error
    except SealError as error:
        log.error("secret lost", kind=kind, name=name, error=str(error))
        return None
