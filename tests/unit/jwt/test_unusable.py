import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import OKPKey

from sessiond.jwt.keyset import MAX_NUMBER, verification_key
from sessiond.jwt.unusable import MAX_NAMED, MAX_SHOWN, why_none_is_usable, why_unusable
from tests.unit.jwt.forge import EC, ED, RSA, b64, jwk, without

SHORT = b64(b"\xff" * 128)  # 1024 bits
BROKEN = "is broken: its members make no sound key"


@pytest.mark.parametrize(
    ("unusable", "why"),
    [
        (jwk(RSA, use="enc"), "is for use 'enc', not 'sig'"),
        (jwk(RSA, key_ops=["encrypt"]), "has key_ops ['encrypt'], without 'verify'"),
        (jwk(RSA, key_ops="verify"), "has key_ops 'verify', without 'verify'"),
        (jwk(RSA, alg="RSA-OAEP"), "is broken, or its alg 'RSA-OAEP' does not go with it"),
        (jwk(EC, alg="ES384"), "is broken, or its alg 'ES384' does not go with it"),
        (jwk(RSA, n=SHORT), "is RSA of 1024 bits, not 2048 to 4096"),
        (without(jwk(RSA), "n"), "has no readable n and e"),
        (jwk(RSA, n="!"), "has no readable n and e"),
        (jwk(RSA, n="A" * (MAX_NUMBER + 1)), "has no readable n and e"),
        (jwk(RSA, e="Ag"), "has an exponent that is even, or of more than 32 bits"),
        (
            jwk(RSA, e=b64(b"\x01\0\0\0\x01")),
            "has an exponent that is even, or of more than 32 bits",
        ),
        (jwk(RSA, kid=7), BROKEN),
        (jwk(RSA, issuer=7), BROKEN),
        (jwk(EC, x=b64(b"\x01" * 32)), BROKEN),
        (jwk(EC, crv="secp256k1"), "is on curve 'secp256k1', not 'P-256' or 'P-384' or 'P-521'"),
        (jwk(EC, kty="OKP"), "is on curve 'P-256', not 'Ed25519'"),
        (jwk(OKPKey.generate_key("X25519")), "is on curve 'X25519', not 'Ed25519'"),
        (jwk(ED, x=b64(b"short")), BROKEN),
        ({"kty": "AKP", "alg": "ML-DSA-44"}, "has kty 'AKP', not 'RSA', 'EC' or 'OKP'"),
        ({}, "has kty None, not 'RSA', 'EC' or 'OKP'"),
    ],
)
def test_it_is_said_why_a_key_is_of_no_use(unusable: dict[str, object], why: str) -> None:
    assert verification_key(unusable) is None
    assert why_unusable(unusable) == why


def test_a_key_that_can_be_factored_is_called_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("keyset", "unusable"):
        monkeypatch.setattr(f"sessiond.jwt.{module}.has_roca_mark", lambda _: True)
    assert "ROCA" in why_unusable(jwk(RSA))


@given(
    key=st.sampled_from([RSA, EC, ED]),
    member=st.sampled_from(["kty", "crv", "n", "e", "x", "y", "use", "alg", "key_ops", "kid"]),
    value=st.one_of(
        st.none(), st.integers(), st.text(max_size=9), st.lists(st.text(max_size=3)),
        st.sampled_from(["sig", "verify", "RSA", "EC", "P-256", "RS256", "ES256", "AQAB"]),
    ),
)  # fmt: skip
def test_there_is_a_reason_where_and_only_where_a_key_is_of_no_use(
    key: object, member: str, value: object
) -> None:
    damaged = jwk(key, **{member: value})  # type: ignore[arg-type]
    assert (why_unusable(damaged) == "") is (verification_key(damaged) is not None)


def test_the_first_few_keys_of_a_set_are_named() -> None:
    assert why_none_is_usable([]) == "the key set is empty, wanted a signature key: see jwks_uri"
    some = [jwk(RSA, kid="one", use="enc"), without(jwk(EC, crv="P-192"), "kid")]
    assert why_none_is_usable(some) == (
        "the key set has no usable signature key: key 'one' is for use 'enc', not 'sig'; "
        "key 2 (without kid) is on curve 'P-192', not 'P-256' or 'P-384' or 'P-521', "
        "wanted one at least: see jwks_uri"
    )
    many = [{"kid": f"{number}"} for number in range(90)]
    said = why_none_is_usable(many)
    assert said.endswith(f"; and {90 - MAX_NAMED} more, wanted one at least: see jwks_uri")
    assert said.count("kty") == MAX_NAMED


def test_what_an_issuer_wrote_is_shown_in_ascii_and_cut() -> None:
    said = why_none_is_usable([{"kid": "\x1b[2J\u202e" + "x" * 9000, "kty": "y" * 9000}])
    assert said.isascii()
    assert said.isprintable()
    assert len(said) < 150 + 2 * MAX_SHOWN
