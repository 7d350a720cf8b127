"""Keys make tickets that any stock library checks, and show themselves to nobody."""

import json

import pytest
from joserfc import jwk as joserfc_jwk
from joserfc import jws

from sessiond.core.secret import Secret
from sessiond.tickets.signing import SigningKey, jwk, thumbprint
from tests.unit.tickets.making import HEADER, KEY, b64, claims


def test_a_ticket_is_a_jws_that_a_stock_library_checks_by_the_published_key() -> None:
    public = joserfc_jwk.OKPKey.import_key({**jwk(KEY.public)})
    registry = jws.JWSRegistry(algorithms=["EdDSA"])
    with pytest.warns(Warning, match="EdDSA"):
        checked = jws.deserialize_compact(KEY.sign(claims()).reveal(), public, registry=registry)
    assert checked.headers() == {"alg": "EdDSA", "kid": KEY.id, "typ": "sessiond-ticket+jwt"}
    assert json.loads(checked.payload) == claims().members()


def test_its_bytes_are_those_of_compact_json() -> None:
    header, payload = KEY.sign(claims()).reveal().split(".")[:2]
    dense = {"separators": (",", ":")}
    assert payload == b64(json.dumps(claims().members(), **dense).encode())  # type: ignore[arg-type]
    assert header == b64(json.dumps(dict(HEADER), **dense).encode())  # type: ignore[arg-type]


def test_a_key_is_called_by_its_thumbprint() -> None:
    """The example of RFC 8037, A.3."""
    public = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    assert thumbprint(public) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_a_published_key_says_what_it_is_for() -> None:
    assert jwk(KEY.public) == {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": b64(KEY.public),
        "use": "sig",
        "alg": "EdDSA",
        "kid": KEY.id,
    }
    assert joserfc_jwk.OKPKey.import_key({**jwk(KEY.public)}).thumbprint() == KEY.id


def test_what_is_kept_of_a_key_is_the_key() -> None:
    made = SigningKey.generated()
    again = SigningKey.of(made.kept())
    assert (again.id, again.public) == (made.id, made.public)
    assert again.sign(claims()).same_as(made.sign(claims()))
    assert SigningKey.generated().id != made.id


@pytest.mark.parametrize("kept", ["", "AAAA", "not base64!"])
def test_what_is_no_key_is_refused(kept: str) -> None:
    with pytest.raises(ValueError):
        SigningKey.of(Secret(kept))


def test_a_key_and_a_ticket_are_not_shown() -> None:
    made = SigningKey.generated()
    assert made.kept().reveal() not in repr(made) + repr(vars(type(made)))
    assert repr(made.sign(claims())) == "Secret(***)"
