"""Keys and tokens of a made-up issuer, well formed or broken in exactly one way."""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey

from sessiond.core.secret import Secret
from sessiond.jwt.keyset import KeySet
from tests import canary

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
T = int(NOW.timestamp())
ISSUER = "https://login.example.com/"
HEADER: dict[str, object] = {"alg": "RS256", "typ": "at+jwt", "kid": "rsa"}
CLAIMS: dict[str, object] = {
    "iss": ISSUER,
    "sub": "a-1",
    "aud": "api://kdb",
    "exp": T + 3600,
    "iat": T,
    "preferred_username": "alice@example.com",
}

RSA = RSAKey.generate_key(2048)
OTHER_RSA = RSAKey.generate_key(2048)
EC = ECKey.generate_key("P-256")
ED = OKPKey.generate_key("Ed25519")

AnyKey = RSAKey | ECKey | OKPKey


def jwk(key: AnyKey, **members: object) -> dict[str, object]:
    """The public half as it is published."""
    return {**key.as_dict(private=False), **members}


def keys(*jwks: Mapping[str, object]) -> KeySet:
    """A key set of these, or of one key of each type, named `rsa`, `ec` and `ed`."""
    default = (jwk(RSA, kid="rsa"), jwk(EC, kid="ec"), jwk(ED, kid="ed"))
    return KeySet.parse({"keys": list(jwks or default)})


def b64(content: bytes | str) -> str:
    """base64url without padding (RFC 7515, 2)."""
    octets = content.encode() if isinstance(content, str) else content
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def without(members: Mapping[str, object], *names: str) -> dict[str, object]:
    return {name: value for name, value in members.items() if name not in names}


def signed(
    header: bytes | Mapping[str, object], payload: bytes | Mapping[str, object], key: AnyKey = RSA
) -> Secret:
    """A token whose signature holds, whatever the header and the payload are.

    The algorithm is the usual one of the key's type, not the header's.
    """
    parts = [
        b64(part if isinstance(part, bytes) else json.dumps(part)) for part in (header, payload)
    ]
    text = ".".join(parts)
    usual = {"RSA": "RS256", "EC": "ES256", "OKP": "Ed25519"}[key.key_type]
    model: Any = jws.JWSRegistry(algorithms=[usual]).get_alg(usual)
    whole = f"{text}.{b64(model.sign(text.encode(), key))}"
    canary.remember(whole, "a forged token", at_most=2_000)
    return Secret(whole)


def token(
    claims: Mapping[str, object] | None = None,
    *,
    header: Mapping[str, object] | None = None,
    key: AnyKey = RSA,
) -> Secret:
    """A good token but for these members, which are added to or replace the good ones."""
    return signed({**HEADER, **(header or {})}, {**CLAIMS, **(claims or {})}, key)
