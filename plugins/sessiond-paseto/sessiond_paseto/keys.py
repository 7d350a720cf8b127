"""The issuer's public keys, from lines of PASERK (github.com/paseto-standard/paserk)."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from sessiond_paseto.v4 import FormatError, decoded, encoded

KEY_SIZE = 32  # bytes
_PUBLIC = "k4.public."
_ID = "k4.pid."


@dataclass(frozen=True, slots=True)
class Keys:
    """Every key of the file, by all the names that a token's footer may call it."""

    by_kid: Mapping[str, "Key"]
    alone: "Key | None"  # the only one: then a token need not name it

    def holds(self, key_id: str) -> bool:
        """Say whether the key of this id (k4.pid) is still among them."""
        return key_id in self.by_kid


@dataclass(frozen=True, slots=True)
class Key:
    """One public key, and its PASERK id."""

    id: str
    public: Ed25519PublicKey


def read_keys(text: str) -> Keys:
    """Return the keys of a key file: a line each, `k4.public.…` and, after a blank, a `kid`.

    A token names its key by the k4.pid of it or by that `kid`. Empty lines and those that begin
    with `#` do not count.

    Raises:
        ValueError: A line is wrong, two keys have one name, or there is no key.
    """
    found: dict[str, Key] = {}
    by_kid: dict[str, Key] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        key = _key(words[0], number)
        if len(words) > 2:
            raise ValueError(f"line {number} has more than a key and its kid")
        for name in (key.id, *words[1:]):
            if name in by_kid:
                raise ValueError(f"line {number} has a key or a kid that was there before")
            by_kid[name] = key
        found[key.id] = key
    if not found:
        raise ValueError("there is no key: a line for each, k4.public.…")
    alone = next(iter(found.values())) if len(found) == 1 else None
    return Keys(by_kid=by_kid, alone=alone)


def key_id(public: bytes) -> str:
    """Return the PASERK id of a public key: k4.pid and BLAKE2b of 33 bytes over its own PASERK."""
    paserk = f"{_ID}{_PUBLIC}{encoded(public)}"
    return _ID + encoded(hashlib.blake2b(paserk.encode(), digest_size=33).digest())


def _key(word: str, number: int) -> Key:
    if not word.startswith(_PUBLIC):  # the word is not shown: it may be a secret key
        raise ValueError(f"line {number} does not begin with {_PUBLIC}")
    try:
        public = decoded(word.removeprefix(_PUBLIC))
    except FormatError as error:
        raise ValueError(f"line {number}: {error}") from None
    if len(public) != KEY_SIZE:
        raise ValueError(f"line {number} is a key of {len(public)} bytes, must be {KEY_SIZE}")
    return Key(key_id(public), Ed25519PublicKey.from_public_bytes(public))
