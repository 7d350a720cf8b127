import json
import ssl
from base64 import b64decode, urlsafe_b64decode
from hashlib import sha256

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from sessiond.core.errors import ConfigError
from sessiond.core.secret import Secret
from sessiond.issuers.client import Client, Credentials, Method
from sessiond.issuers.discovery import Place
from tests.unit.issuers.fake import HandClock

PLACE = Place("https://login.example.com/introspect")
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)

PrivateKey = (
    rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | dsa.DSAPrivateKey
)


def pem(key: PrivateKey, *, password: bytes | None = None) -> Secret:
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password is not None:
        encryption = serialization.BestAvailableEncryption(password)
    return Secret(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
        ).decode()
    )


def client(method: Method, secret: Secret | None, *, client_id: str = "sessiond") -> Client:
    return Client(client_id=client_id, method=method, secret=secret, clock=HandClock())


def test_a_public_client_only_says_its_name() -> None:
    assert client("none", None).credentials(PLACE) == Credentials(form={"client_id": "sessiond"})


def test_post_sends_the_secret_in_the_form() -> None:
    sent = client("post", Secret("s3:%&")).credentials(PLACE)
    assert sent == Credentials(form={"client_id": "sessiond", "client_secret": "s3:%&"})


def test_basic_encodes_each_half_as_a_form_first() -> None:
    sent = client("basic", Secret("pass: %&+é"), client_id="urn:me").credentials(PLACE)
    scheme, _, pair = sent.headers["authorization"].partition(" ")
    assert scheme == "Basic"
    assert b64decode(pair) == b"urn%3Ame:pass%3A+%25%26%2B%C3%A9"
    assert sent.form == {}


def test_a_signed_assertion_is_for_one_endpoint_and_a_minute() -> None:
    clock = HandClock()
    sent = client("private_key_jwt", pem(RSA_KEY)).credentials(PLACE)
    assert sent.headers == {}
    assert sent.form["client_id"] == "sessiond"
    assert sent.form["client_assertion_type"] == (
        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    )
    read = jwt.decode(
        sent.form["client_assertion"],
        RSAKey.import_key(pem(RSA_KEY).reveal()),
        algorithms=["RS256"],
    )
    now = int(clock.now().timestamp())
    assert read.claims == {
        "iss": "sessiond",
        "sub": "sessiond",
        "aud": PLACE.url,
        "iat": now,
        "exp": now + 60,
        "jti": read.claims["jti"],
    }
    assert len(read.claims["jti"]) >= 16


def test_each_assertion_has_its_own_name() -> None:
    signing = client("private_key_jwt", pem(RSA_KEY))
    one, other = (signing.credentials(PLACE).form["client_assertion"] for _ in range(2))
    assert one.split(".")[1] != other.split(".")[1]


@pytest.mark.parametrize(
    ("signing", "algorithm"),
    [((), "RS256"), (("RS256", "PS256"), "PS256"), (("RS256",), "RS256"), (("HS256",), "RS256")],
)
def test_an_rsa_key_signs_with_the_best_that_the_endpoint_takes(
    signing: tuple[str, ...], algorithm: str
) -> None:
    sent = client("private_key_jwt", pem(RSA_KEY)).credentials(Place(PLACE.url, signing))
    read = jwt.decode(
        sent.form["client_assertion"],
        RSAKey.import_key(pem(RSA_KEY).reveal()),
        algorithms=["RS256", "PS256"],
    )
    assert read.header["alg"] == algorithm


@pytest.mark.parametrize(
    ("curve", "algorithm"),
    [(ec.SECP256R1(), "ES256"), (ec.SECP384R1(), "ES384"), (ec.SECP521R1(), "ES512")],
)
def test_a_key_on_a_curve_signs_with_the_algorithm_of_that_curve(
    curve: ec.EllipticCurve, algorithm: str
) -> None:
    key = pem(ec.generate_private_key(curve))
    sent = client("private_key_jwt", key).credentials(PLACE)
    read = jwt.decode(
        sent.form["client_assertion"], ECKey.import_key(key.reveal()), algorithms=[algorithm]
    )
    assert read.header["alg"] == algorithm


@pytest.mark.parametrize("method", ["basic", "post", "private_key_jwt"])
def test_a_missing_secret_is_the_operators_to_mend(method: Method) -> None:
    with pytest.raises(ConfigError, match=method):
        client(method, None)


@pytest.mark.parametrize(
    "secret",
    [
        Secret("no key at all"),
        Secret("-----BEGIN PRIVATE KEY-----\nvery-secret\n-----END PRIVATE KEY-----\n"),
        pem(RSA_KEY, password=b"very-secret"),
        pem(ed25519.Ed25519PrivateKey.generate()),
        pem(dsa.generate_private_key(2048)),
        pem(ec.generate_private_key(ec.SECP256K1())),
    ],
)
def test_a_secret_that_is_no_usable_key_is_named_without_being_shown(secret: Secret) -> None:
    with pytest.raises(ConfigError, match="key cannot be used") as raised:
        client("private_key_jwt", secret)
    assert "very-secret" not in str(raised.value)


def test_credentials_do_not_show_themselves() -> None:
    methods: tuple[Method, ...] = ("basic", "post")
    for method in methods:
        assert repr(client(method, Secret("very-secret")).credentials(PLACE)) == "Credentials()"


def test_a_certificate_beside_the_key_says_by_which_the_issuer_knows_it() -> None:
    issued = trustme.CA().issue_cert("sessiond", key_type=trustme.KeyType.RSA)
    key, certificate = issued.private_key_pem.bytes(), issued.cert_chain_pems[0].bytes()
    digest = sha256(ssl.PEM_cert_to_DER_cert(certificate.decode())).digest()
    for text in (key + certificate, certificate + key):
        sent = client("private_key_jwt", Secret(text.decode())).credentials(PLACE)
        header = json.loads(_decoded(sent.form["client_assertion"].split(".")[0]))
        assert _decoded(header["x5t#S256"]) == digest
    with pytest.raises(ConfigError, match="cannot be used"):
        client("private_key_jwt", Secret((key + b"-----BEGIN CERTIFICATE-----\nx").decode()))


def _decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
