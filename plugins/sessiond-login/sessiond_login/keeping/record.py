"""What is kept, as text: ASCII alone, so that a character is a byte, or two where UTF-16 counts."""

import json

import msgspec

from sessiond_login.kept import Kept
from sessiond_login.secret import Secret

MAX_SIZE = 131_072  # characters: two tokens of 32 KiB and what belongs to them, twice over


def to_text(kept: Kept) -> str:
    """Return a record as it is kept. It holds the tokens."""
    return json.dumps(msgspec.to_builtins(kept, enc_hook=_revealed))


def from_text(text: str) -> Kept | None:
    """Return the record, or None: there is none in it."""
    try:
        return msgspec.json.decode(text, type=Kept, dec_hook=_secret)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _revealed(value: object) -> str:
    if isinstance(value, Secret):
        return value.reveal()
    raise TypeError(type(value).__name__)


def _secret(kind: type, value: object) -> Secret:
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    raise TypeError(kind.__name__)
