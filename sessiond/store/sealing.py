"""Seals secrets at rest, and knows a token again without keeping it.

A sealed value is `0x01 | key id (4 bytes, big-endian) | salt (16) | nonce (12) | AES-256-GCM
ciphertext and tag`. Each has a key of its own, derived from the master key and its salt by
HKDF-SHA256 (RFC 5869), so no number of values wears a master key out. What is authenticated beside
it (table, column, row, issuer, subject) makes it open in the one place it was sealed for: moved to
another row or user it is refused.
"""

import base64
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Collection, Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sessiond.core.errors import ConfigError, SessiondError
from sessiond.core.grant import TokenHash
from sessiond.core.secret import Secret

KEY_SIZE = 32  # bytes
MAX_KEY_ID = 2**32 - 1

_VERSION = 1
_ID_SIZE, _SALT_SIZE, _NONCE_SIZE, _TAG_SIZE = 4, 16, 12, 16  # bytes
_SALT_AT = 1 + _ID_SIZE
_NONCE_AT = _SALT_AT + _SALT_SIZE
_TEXT_AT = _NONCE_AT + _NONCE_SIZE
_as_json = json.encoder.encode_basestring_ascii  # of one text, at a fifth of an encoder's price
_PROBE = {"table": "", "column": "", "row": "", "issuer": "", "subject": ""}  # no row's place
_LINE = re.compile(r"(?:([0-9]{1,10}):)?([A-Za-z0-9+/]{43}=)")


class SealError(SessiondError):
    """A sealed value does not open: treat what it held as lost, and tell the operator why."""


class NewerKeyError(SealError):
    """It is sealed with a key that came after this ring was read: nothing is lost."""


class KeyRing:
    """Master keys by id. The highest id seals; every one still opens what it has sealed.

    To rotate (`sessiond.store.rotation`): a line with a higher id is added, everything is sealed
    anew (`is_current`), and the old line is removed.
    """

    def __init__(self, keys: Mapping[int, bytes]) -> None:
        if not keys:
            raise ValueError("a key ring has at least one key")
        if any(len(key) != KEY_SIZE for key in keys.values()):
            raise ValueError(f"a master key has {KEY_SIZE} bytes")
        if any(not 1 <= key_id <= MAX_KEY_ID for key_id in keys):
            raise ValueError(f"a key id is between 1 and {MAX_KEY_ID}")
        self._keys = dict(keys)
        self.current = max(keys)  # the id of the key that seals

    @classmethod
    def from_text(cls, text: Secret) -> "KeyRing":
        """Return the ring that a key file holds.

        One key a line: base64 of 32 bytes, alone (its id is 1) or as `ID:BASE64`. Empty lines
        and those that begin with `#` do not count.

        Raises:
            ConfigError: A line is no key, or an id is there twice. It names the line's number.
        """
        keys: dict[int, bytes] = {}
        for number, line in enumerate(text.reveal().splitlines(), start=1):
            if not _is_key(line):
                continue
            key_id, key = _key_of(line.strip(), number)
            if key_id in keys:
                raise ConfigError(
                    f"store.key_file: line {number} has key id {key_id} again, wanted each once: "
                    "take one of them out"
                )
            keys[key_id] = key
        if not keys:
            raise ConfigError(
                "store.key_file: there is no key in it, wanted one: `sessiond keygen` makes one"
            )
        return cls(keys)

    def seal(
        self, plain: Secret, *, table: str, column: str, row: str, issuer: str, subject: str
    ) -> bytes:
        """Return the secret sealed for this one place with the current key."""
        salt, nonce = secrets.token_bytes(_SALT_SIZE), secrets.token_bytes(_NONCE_SIZE)
        place = _place(self.current, table, column, row, issuer, subject)
        key = _derived(self._keys[self.current], salt, b"sessiond/sealing/v1")
        text = AESGCM(key).encrypt(nonce, plain.reveal().encode(), place)
        return _head(self.current) + salt + nonce + text

    def unseal(
        self, sealed: bytes, *, table: str, column: str, row: str, issuer: str, subject: str
    ) -> Secret:
        """Return the secret that was sealed for this place.

        Raises:
            NewerKeyError: Its key is newer than all on the ring.
            SealError: Its key is not on the ring, or it was changed or moved from another place.
        """
        key_id = _key_id(sealed)
        if key_id not in self._keys:
            error = NewerKeyError if key_id > self.current else SealError
            raise error(
                f"{table}.{column} of row {row} is sealed with key {key_id}, wanted one of "
                "store.key_file: bring that key back, or the user must log in again"
            )
        salt, nonce = sealed[_SALT_AT:_NONCE_AT], sealed[_NONCE_AT:_TEXT_AT]
        place = _place(key_id, table, column, row, issuer, subject)
        key = _derived(self._keys[key_id], salt, b"sessiond/sealing/v1")
        try:
            return Secret(AESGCM(key).decrypt(nonce, sealed[_TEXT_AT:], place).decode())
        except InvalidTag:
            raise SealError(
                f"{table}.{column} of row {row} does not open with key {key_id}, wanted the one "
                "that sealed it, and the value as it was: bring them back, or the user must log in "
                "again"
            ) from None

    @property
    def older(self) -> list[int]:
        """The ids of the keys that only open."""
        return sorted(self._keys.keys() - {self.current})

    def opens_all_of(self, other: "KeyRing") -> bool:
        """Say whether what the other ring seals opens with this one too."""
        probe = other.seal(Secret("probe"), **_PROBE)
        try:
            self.unseal(probe, **_PROBE)
        except SealError:
            return False
        return True

    def is_current(self, sealed: bytes) -> bool:
        """Say whether it was sealed with the key that seals now; otherwise seal it anew."""
        return _key_id(sealed) == self.current


def with_key(text: Secret, key_id: int, key: Secret) -> Secret:
    """Return the text of a key file with one key more."""
    return Secret(f"{text.reveal().rstrip()}\n{key_id}:{key.reveal()}\n")


def without(text: Secret, key_ids: Collection[int]) -> Secret:
    """Return the text of a key file without some of its keys; comments stay."""
    kept = [
        line
        for number, line in enumerate(text.reveal().splitlines(), start=1)
        if not _is_key(line) or _key_of(line.strip(), number)[0] not in key_ids
    ]
    return Secret("\n".join([*kept, ""]))


class TokenHasher:
    """Knows tokens again by their HMAC-SHA256: nobody finds a token by it, or its hash without it.

    Args:
        lookup_key: 32 bytes that outlive the rotation of the ring's keys: with another one every
            token that was seen would be a stranger.
    """

    def __init__(self, lookup_key: bytes) -> None:
        if len(lookup_key) != KEY_SIZE:
            raise ValueError(f"a look-up key has {KEY_SIZE} bytes")
        self._key = _derived(lookup_key, None, b"sessiond/lookup/v1")

    def token_hash(self, token: Secret) -> TokenHash:
        """Return the 32 bytes that a token is looked up by."""
        return TokenHash(hmac.digest(self._key, token.reveal().encode(), hashlib.sha256))


def _is_key(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _key_of(line: str, number: int) -> tuple[int, bytes]:
    """Return a line's key and id. Errors never show any of the line."""
    parts = _LINE.fullmatch(line)
    key_id = int(parts[1] or 1) if parts else 0
    if parts is None or not 1 <= key_id <= MAX_KEY_ID:
        raise ConfigError(
            f"store.key_file: line {number} is no key, wanted base64 of {KEY_SIZE} bytes, alone or "
            "as ID:BASE64: `sessiond keygen` makes one"
        )
    return key_id, base64.b64decode(parts[2], validate=True)


def _derived(master: bytes, salt: bytes | None, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_SIZE, salt=salt, info=purpose).derive(master)


def _head(key_id: int) -> bytes:
    return bytes([_VERSION]) + key_id.to_bytes(_ID_SIZE, "big")


def _key_id(sealed: bytes) -> int:
    if len(sealed) < _TEXT_AT + _TAG_SIZE or sealed[0] != _VERSION:
        raise SealError(
            "a sealed value is cut off, or of a newer sessiond, wanted one of this: bring back "
            "that sessiond, or a backup"
        )
    return int.from_bytes(sealed[1:_SALT_AT], "big")


def _place(key_id: int, *names: str) -> bytes:
    """Return what is authenticated: a JSON array, so that no two places are spelled alike."""
    return f"[{_VERSION},{key_id},{','.join(map(_as_json, names))}]".encode("ascii")
