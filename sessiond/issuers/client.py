"""How sessiond itself signs in at an issuer's endpoints (RFC 6749, 2.3)."""

import secrets
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, assert_never
from urllib.parse import quote_plus

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from sessiond.clock import Clock
from sessiond.core.errors import ConfigError
from sessiond.core.secret import Secret
from sessiond.issuers.discovery import Place
from sessiond.issuers.http import IssuerHttp, Reply

ASSERTION_LIFE = 60  # seconds
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"  # RFC 7523, 2.2
_EC_ALGORITHMS = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}

_REFUSED = ("invalid_client", "unauthorized_client")  # RFC 6749, 5.2

Method = Literal["basic", "post", "private_key_jwt", "none"]


def is_refused(error: object) -> bool:
    """Say whether an answer's `error` is about our client, and not about what it asked for."""
    return error in _REFUSED


@dataclass(frozen=True, slots=True)
class Credentials:
    """What to add to one request."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    form: Mapping[str, str] = field(default_factory=dict, repr=False)


class Client:
    """One client registration of ours."""

    def __init__(self, *, client_id: str, method: Method, secret: Secret | None, clock: Clock):
        """Read the key, where the secret is one.

        Args:
            client_id: As the issuer registered it.
            method: How it proves itself; "none" for a public client.
            secret: The password, or a PEM private key for private_key_jwt; a certificate may
                stand beside it.
            clock: Dates the signed assertions.

        Raises:
            ConfigError: The secret is missing or is no key.
        """
        self.id = client_id
        self._method = method
        self._clock = clock
        self._secret = secret
        self._key: _SigningKey | None = None
        if method != "none" and secret is None:
            raise ConfigError(
                f"client {client_id!r}: {method} needs a secret file, wanted one: set it, or "
                "client_auth none"
            )
        if method == "private_key_jwt" and secret is not None:
            self._key = _signing_key(secret)

    def credentials(self, place: Place) -> Credentials:
        """Return what proves this client at one endpoint, for one request."""
        secret = "" if self._secret is None else self._secret.reveal()
        match self._method:
            case "none":
                return Credentials(form={"client_id": self.id})
            case "post":
                return Credentials(form={"client_id": self.id, "client_secret": secret})
            case "basic":  # RFC 6749, 2.3.1: each half form-encoded first
                pair = f"{quote_plus(self.id)}:{quote_plus(secret)}".encode()
                return Credentials(headers={"authorization": f"Basic {b64encode(pair).decode()}"})
            case "private_key_jwt":
                assertion = self._assertion(place)
                return Credentials(
                    form={
                        "client_id": self.id,
                        "client_assertion_type": ASSERTION_TYPE,
                        "client_assertion": assertion,
                    }
                )
            case never:
                assert_never(never)

    async def post(
        self,
        http: IssuerHttp,
        place: Place,
        form: Mapping[str, str],
        *,
        is_repeatable: bool = False,
    ) -> Reply:
        """POST a form to an endpoint, signed in as this client; see `IssuerHttp.post_form`."""
        proof = self.credentials(place)
        return await http.post_form(
            place.url, {**form, **proof.form}, headers=proof.headers, is_repeatable=is_repeatable
        )

    def _assertion(self, place: Place) -> str:
        """Return a signed statement for this endpoint alone (OpenID Connect Core 1.0, 9)."""
        assert self._key is not None  # noqa: S101 - set wherever the method needs it
        now = int(self._clock.now().timestamp())
        claims: jwt.Claims = {
            "iss": self.id,
            "sub": self.id,
            "aud": place.url,
            "jti": secrets.token_urlsafe(16),
            "iat": now,
            "exp": now + ASSERTION_LIFE,
        }
        algorithm = self._key.algorithm(place.signing)
        header = {"alg": algorithm, "typ": "JWT", **self._key.certified}
        return jwt.encode(header, claims, self._key.key, algorithms=[algorithm])


@dataclass(frozen=True, slots=True)
class _SigningKey:
    key: RSAKey | ECKey = field(repr=False)
    algorithms: tuple[str, ...]  # the best first, what everybody has last
    certified: Mapping[str, str]  # of the header: by which certificate an issuer knows the key

    def algorithm(self, supported: tuple[str, ...]) -> str:
        return next((a for a in self.algorithms if a in supported), self.algorithms[-1])


def _signing_key(pem: Secret) -> _SigningKey:
    text = pem.reveal().encode()
    try:
        certified = _certified(text)
        match load_pem_private_key(text, password=None):
            case RSAPrivateKey():
                return _SigningKey(RSAKey.import_key(text), ("PS256", "RS256"), certified)
            case EllipticCurvePrivateKey(curve=curve) if curve.name in _EC_ALGORITHMS:
                return _SigningKey(ECKey.import_key(text), (_EC_ALGORITHMS[curve.name],), certified)
            case _:
                fault = "it is neither an RSA key nor one on a NIST curve"
    except (ValueError, TypeError, UnsupportedAlgorithm):
        fault = "it is not an unencrypted PEM private key"
    raise ConfigError(
        f"the client's key cannot be used: {fault}, wanted one in PEM, RSA or EC of a NIST curve: "
        "name its file"
    )


def _certified(text: bytes) -> Mapping[str, str]:
    """Return `x5t#S256` (RFC 7515, 4.1.8) where a certificate stands beside the key.

    Entra knows keys by nothing else: learn.microsoft.com/entra/identity-platform/
    certificate-credentials.
    """
    if b"-----BEGIN CERTIFICATE-----" not in text:
        return {}
    digest = load_pem_x509_certificate(text).fingerprint(SHA256())
    return {"x5t#S256": urlsafe_b64encode(digest).rstrip(b"=").decode()}
