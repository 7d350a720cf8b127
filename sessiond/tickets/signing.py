"""Makes tickets: a compact JWS (RFC 7515, 7.1) with a key that only this daemon has."""

import base64
import hashlib
import json

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sessiond.core.secret import Secret
from sessiond.tickets.claims import ALGORITHM, TYPE, TicketClaims


class SigningKey:
    """A private key, which shows itself to nobody. Its public half is told to all."""

    __slots__ = ("_header", "_private", "id", "public")

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = private.public_key().public_bytes_raw()  # 32 bytes (RFC 8032)
        self.id = thumbprint(self.public)
        header = {"alg": ALGORITHM, "kid": self.id, "typ": TYPE}
        self._header = _base64url(msgspec.json.encode(header))

    @classmethod
    def generated(cls) -> "SigningKey":
        """Return a new one."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def of(cls, kept: Secret) -> "SigningKey":
        """Return the key that `kept` has given.

        Raises:
            ValueError: It is none.
        """
        seed = base64.b64decode(kept.reveal(), validate=True)
        return cls(Ed25519PrivateKey.from_private_bytes(seed))

    def kept(self) -> Secret:
        """Return the private half, to be sealed: base64 of 32 bytes."""
        return Secret(base64.b64encode(self._private.private_bytes_raw()).decode("ascii"))

    def sign(self, claims: TicketClaims) -> Secret:
        """Return the ticket that says this, without a mark."""
        content = f"{self._header}.{_base64url(msgspec.json.encode(claims.members()))}"
        return Secret(f"{content}.{_base64url(self._private.sign(content.encode('ascii')))}")


def thumbprint(public: bytes) -> str:
    """Return the name of a public key that follows from it alone (RFC 7638, RFC 8037, 2)."""
    members = {"crv": "Ed25519", "kty": "OKP", "x": _base64url(public)}  # in this order
    text = json.dumps(members, separators=(",", ":"))
    return _base64url(hashlib.sha256(text.encode("ascii")).digest())


def jwk(public: bytes) -> dict[str, str]:
    """Return a public key as others read it (RFC 7517, 4; RFC 8037, 2)."""
    return {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": _base64url(public),
        "use": "sig",
        "alg": ALGORITHM,
        "kid": thumbprint(public),
    }


def _base64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode("ascii").rstrip("=")
