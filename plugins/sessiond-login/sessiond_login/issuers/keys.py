"""An issuer's public keys (RFC 7517), and which of them has signed a token (RFC 7515)."""

import warnings
from collections.abc import Mapping
from typing import Any

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from sessiond_login.errors import IssuerUnavailable
from sessiond_login.issuers.http import IssuerHttp
from sessiond_login.issuers.words import said
from sessiond_login.secret import Secret

MOST_KEYS = 100
SHORTEST_RSA = 2048  # bits
# What cannot be made with anything public. By the kind of key that makes it.
ALGORITHMS = {
    "RS256": "RSA", "RS384": "RSA", "RS512": "RSA", "PS256": "RSA", "PS384": "RSA", "PS512": "RSA",
    "ES256": "EC", "ES384": "EC", "ES512": "EC", "Ed25519": "OKP", "EdDSA": "OKP",
}  # fmt: skip
_KINDS: dict[str, Any] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
_MALFORMED = (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError)

Key = RSAKey | ECKey | OKPKey


class _Registry(JWSRegistry):
    """joserfc's algorithms, with EdDSA as the Ed25519 that it stands for here."""

    algorithms = JWSRegistry.algorithms | {"EdDSA": JWSRegistry.algorithms["Ed25519"]}


_REGISTRY = _Registry(algorithms=list(ALGORITHMS))


class IssuerKeys:
    """The keys at one address, fetched when first needed and once more for a key not among them."""

    def __init__(self, http: IssuerHttp, jwks_uri: str) -> None:
        self._http = http
        self._jwks_uri = jwks_uri
        self._keys: list[tuple[str | None, Key]] | None = None

    def signed_claims(self, token: Secret) -> Mapping[str, object]:
        """Return the claims of a JWT that one of the keys has signed.

        Raises:
            IssuerUnavailable: None has, by an algorithm that is allowed; or there are no keys.
        """
        header = _header(token)
        kid, kind = header.get("kid"), ALGORITHMS.get(str(header.get("alg")))
        if kind is None:
            raise IssuerUnavailable(
                f"the ID token is signed by {said(header.get('alg')) or 'nothing'}, wanted "
                f"one of {', '.join(ALGORITHMS)}: ask who runs the issuer"
            )
        was_fresh = self._keys is None
        claims = self._verified(token, kid, kind, self._keys or self._fetch())
        if claims is None and not was_fresh:
            claims = self._verified(token, kid, kind, self._fetch())
        if claims is None:
            raise IssuerUnavailable(
                "the ID token is signed by no key of the issuer, wanted one of its jwks_uri: "
                "ask who runs the issuer"
            )
        return claims

    def _verified(
        self, token: Secret, kid: object, kind: str, keys: list[tuple[str | None, Key]]
    ) -> dict[str, object] | None:
        for name, key in keys:
            if key.key_type != kind or (kid is not None and name is not None and name != kid):
                continue
            claims = _claims_by(key, token)
            if claims is not None:
                return claims
        return None

    def _fetch(self) -> list[tuple[str | None, Key]]:
        reply = self._http.get(self._jwks_uri)
        members = reply.members() if reply.is_success else None
        listed = members.get("keys") if members else None
        if not isinstance(listed, list):
            raise reply.unusable("the issuer's keys")
        self._keys = [
            (kid if isinstance(kid := each.get("kid"), str) else None, key)
            for each in listed[:MOST_KEYS]
            if isinstance(each, dict) and (key := _key(each)) is not None
        ]
        return self._keys


def _header(token: Secret) -> dict[str, object]:
    try:
        header = jws.extract_compact(token.reveal().encode()).headers()
    except _MALFORMED:
        header = {}
    return dict(header)


def _key(jwk: dict[str, object]) -> Key | None:
    """Return a key that verifies signatures; None for any other, which is none of ours."""
    kind = _KINDS.get(str(jwk.get("kty")))
    if kind is None or jwk.get("use") == "enc":
        return None
    public = {
        name: value for name, value in jwk.items() if name in ("kty", "n", "e", "crv", "x", "y")
    }
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of keys that are refused below
            key: Key = kind.import_key(public)
        if isinstance(key, RSAKey) and key.public_key.key_size < SHORTEST_RSA:
            return None
    except _MALFORMED:
        return None
    return key


def _claims_by(key: Key, token: Secret) -> dict[str, object] | None:
    """Return the claims where this key has signed them. joserfc's errors hold what they refuse."""
    try:
        signed = jws.deserialize_compact(token.reveal(), key, registry=_REGISTRY)
        claims = msgspec.json.decode(signed.payload)
    except (*_MALFORMED, msgspec.MsgspecError):
        return None
    return claims if isinstance(claims, dict) else None
