"""Tokens that the fast issuer is good for, signed here: an issuer that signs would be measured."""

import base64
import json
import time
from dataclasses import dataclass, field
from functools import cached_property

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

BITS = 2048
KEY_ID = "bench"
AUDIENCE = "api://kdb"
CLIENT = "qstudio"
OPAQUE = "opaque."  # what the tokens begin with that have to be asked about
LIFETIME = 7200  # seconds
REFRESH_BYTES = 1200  # of a refresh token: about what Entra's have


@dataclass(frozen=True)
class Minting:
    """Signs for one issuer, RS256, with a key of its own."""

    issuer: str
    _key: RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, BITS))

    @cached_property
    def pem(self) -> bytes:
        """The public key, for those who verify without asking."""
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self._key.public_key().public_bytes(serialization.Encoding.PEM, form)

    @cached_property
    def keys(self) -> dict[str, list[dict[str, str]]]:
        """The key set (RFC 7517)."""
        numbers = self._key.public_key().public_numbers()
        modulus = _encoded(numbers.n.to_bytes(BITS // 8, "big"))
        exponent = _encoded(numbers.e.to_bytes(3, "big"))
        key = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": KEY_ID}
        return {"keys": [{**key, "n": modulus, "e": exponent}]}

    def token(self, user: str, subject: str = "") -> str:
        """Return an access token of the user; `typ` is JWT, the only one that Dovecot takes."""
        now = int(time.time())
        header = {"alg": "RS256", "typ": "JWT", "kid": KEY_ID}
        claims = {
            **claims_of(self.issuer, user, subject or f"subject of {user}"),
            "nbf": now,
            "iat": now,
            "exp": now + LIFETIME,
            "roles": ["reader", "trading"],
        }
        signed = f"{_json(header)}.{_json(claims)}"
        signature = self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_encoded(signature)}"


def claims_of(issuer: str, user: str, subject: str) -> dict[str, object]:
    """Return what a token of the user says of him, times apart."""
    return {
        "iss": issuer,
        "sub": subject,
        "aud": AUDIENCE,
        "client_id": CLIENT,
        "scope": "openid profile offline_access session.login",
        "preferred_username": user,
    }


def user_name(prefix: str, number: int) -> str:
    return f"{prefix}{number:06}@contoso.test"


def opaque(user: str) -> str:
    """Return an opaque token, from which the fast issuer knows whose it is."""
    return f"{OPAQUE}{_encoded(user.encode())}"


def user_of(token: str) -> str:
    """Return whose opaque token it is, empty if it is none."""
    if not token.startswith(OPAQUE):
        return ""
    return base64.urlsafe_b64decode(token.removeprefix(OPAQUE) + "==").decode()


def _json(value: object) -> str:
    return _encoded(json.dumps(value, separators=(",", ":")).encode())


def _encoded(text: bytes) -> str:
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()
