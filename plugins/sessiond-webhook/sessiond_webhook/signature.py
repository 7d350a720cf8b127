"""Signatures as Standard Webhooks has them (standardwebhooks.com, "Signature scheme")."""

import base64
import binascii
import hmac
from collections.abc import Iterable
from typing import Final

_PREFIX: Final = "whsec_"
_KEY_SIZES: Final = range(24, 65)  # bytes
_MAX_KEYS: Final = 8  # each makes the header longer


class SigningKey:
    """What a `whsec_` secret stands for; it does not show itself."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        self._key = key

    def __repr__(self) -> str:
        return "SigningKey(***)"

    def sign(self, content: bytes) -> str:
        """Return the signature with its scheme: HMAC-SHA256 is `v1`."""
        digest = hmac.digest(self._key, content, "sha256")
        return "v1," + base64.b64encode(digest).decode()


def signing_keys(text: str) -> tuple[SigningKey, ...]:
    """Return the keys of a secret file: a line each, `whsec_` and the base64 of 24 to 64 bytes.

    Empty lines and those that begin with `#` do not count.

    Raises:
        ValueError: A line, which is not shown, is wrong; or there is no key, or too many.
    """
    words = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1)]
    keys = tuple(_key(word, number) for number, word in words if word and word[0] != "#")
    if not 1 <= len(keys) <= _MAX_KEYS:
        raise ValueError(f"it has {len(keys)} secrets, must have 1 to {_MAX_KEYS}")
    return keys


def signature_headers(
    keys: Iterable[SigningKey], *, message_id: str, timestamp: int, body: bytes
) -> dict[str, str]:
    """Return the headers that name a body, and prove who has sent it, and when.

    Args:
        keys: Each signs, so that a receiver may still have the old one; none = no signature.
        message_id: The same for every try; without a dot.
        timestamp: Seconds since 1970, of this try.
        body: The exact bytes that are sent.
    """
    content = b"%b.%d.%b" % (message_id.encode(), timestamp, body)
    headers = {"webhook-id": message_id, "webhook-timestamp": str(timestamp)}
    if signatures := " ".join(key.sign(content) for key in keys):
        headers["webhook-signature"] = signatures
    return headers


def _key(word: str, number: int) -> SigningKey:
    if not word.startswith(_PREFIX):
        raise ValueError(f"line {number} does not begin with {_PREFIX}")
    try:
        key = base64.b64decode(word.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"line {number} is not base64 after {_PREFIX}") from None
    if len(key) not in _KEY_SIZES:
        raise ValueError(f"line {number} is a key of {len(key)} bytes, must be 24 to 64")
    return SigningKey(key)
