import base64
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.util import urlsafe_b64decode

from sessiond.core.errors import IssuerUnavailable
from sessiond.jwt.keyset import (
    MAX_CANDIDATES,
    MAX_KEYS,
    MAX_NUMBER,
    KeySet,
    UnknownKeyError,
    verification_key,
)
from tests.unit.jwt.forge import EC, ED, OTHER_RSA, RSA, AnyKey, b64, jwk, keys, without


def short_rsa() -> dict[str, object]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is short is the point
        return jwk(RSAKey.generate_key(1024), kid="short")


def kids(found: KeySet) -> list[str | None]:
    return [key.kid for key in found.keys]


def test_each_key_may_be_used_with_what_its_type_is_made_for() -> None:
    found = {key.kid: key.algorithms for key in keys().keys}
    assert found == {
        "rsa": {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"},
        "ec": {"ES256"},
        "ed": {"Ed25519"},
    }


@pytest.mark.parametrize(("curve", "algorithm"), [("P-384", "ES384"), ("P-521", "ES512")])
def test_a_curve_has_its_own_algorithm(curve: str, algorithm: str) -> None:
    key = ECKey.generate_key(curve)
    assert keys(jwk(key, kid="k")).keys[0].algorithms == {algorithm}


@pytest.mark.parametrize(
    ("name", "members"),
    [
        ("alg", {"alg": "RS256"}),
        ("use", {"use": "sig", "alg": "RS256"}),
        ("key_ops", {"key_ops": ["verify"], "alg": "RS256"}),
    ],
)
def test_alg_narrows_what_a_key_may_be_used_with(name: str, members: dict[str, object]) -> None:
    assert keys(jwk(RSA, kid=name, **members)).keys[0].algorithms == {"RS256"}


@pytest.mark.parametrize("alg", ["EdDSA", "Ed25519"])
def test_an_edwards_key_may_call_its_algorithm_by_either_name(alg: str) -> None:
    found = keys(jwk(ED, kid="k", alg=alg))
    for stated in ("EdDSA", "Ed25519"):
        assert len(found.candidates(kid="k", algorithm=stated)) == 1


@pytest.mark.parametrize(
    "ignored",
    [
        jwk(RSA, kid="k", use="enc"),
        jwk(RSA, kid="k", use=["sig"]),
        jwk(RSA, kid="k", key_ops=["encrypt"]),
        jwk(RSA, kid="k", key_ops="verify"),
        jwk(RSA, kid="k", alg="RSA-OAEP"),
        jwk(RSA, kid="k", alg="HS256"),
        jwk(RSA, kid="k", alg="none"),
        jwk(RSA, kid="k", alg=["RS256"]),
        jwk(EC, kid="k", alg="ES384"),
        jwk(RSA, kid=7),
        jwk(RSA, kid="k", issuer=7),
        jwk(RSA, kid="k", n=7),
        jwk(RSA, kid="k", n="!"),
        jwk(RSA, kid="k", n=""),
        jwk(RSA, kid="k", e=b64(b"\x01")),
        jwk(RSA, kid="k", e=b64(b"\x02")),
        jwk(RSA, kid="k", n=b64(b"\xff" * 512 + b"\x01\x01")),
        jwk(RSA, kid="k", e=b64(b"\x01\0\0\0\x01")),
        jwk(RSA, kid="k", e=b64(b"\xff" * 256)),
        jwk(RSA, kid="k", e=b64(b"\x01\0\x02")),
        without(jwk(RSA, kid="k"), "n"),
        without(jwk(RSA, kid="k"), "kty"),
        without(jwk(EC, kid="k"), "crv"),
        jwk(EC, kid="k", x=b64(b"\x01" * 32)),
        jwk(EC, kid="k", crv="secp256k1"),
        jwk(EC, kid="k", crv="P-384"),
        jwk(EC, kid="k", crv=["P-256"]),
        jwk(EC, kid="k", kty="OKP"),
        jwk(EC, kid="k", kty=["EC"]),
        jwk(EC, kid="k", y=7),
        jwk(ED, kid="k", x=b64(b"short")),
        jwk(OKPKey.generate_key("X25519"), kid="k"),
        jwk(OKPKey.generate_key("Ed448"), kid="k"),
        short_rsa(),
        {"kty": "AKP", "alg": "ML-DSA-44", "kid": "k", "pub": "AAAA"},
        {},
    ],
)
def test_a_key_that_is_not_for_signatures_or_unknown_or_broken_is_ignored(
    ignored: dict[str, object],
) -> None:
    assert kids(keys(ignored, jwk(RSA, kid="good"))) == ["good"]


@pytest.mark.parametrize("octets", [b"\x03", b"\x01\0\x01", b"\xff\xff\xff\xff"])
def test_an_odd_exponent_of_up_to_32_bits_is_taken(octets: bytes) -> None:
    assert kids(keys(jwk(RSA, kid="k", e=b64(octets)))) == ["k"]


@pytest.mark.parametrize(
    "ignored",
    [
        jwk(RSA, kid="k", n="_" * (MAX_NUMBER + 1)),
        jwk(RSA, kid="k", e="A" * MAX_NUMBER + "AQAB"),
        jwk(EC, kid="k", x="A" * MAX_NUMBER + "AQAB"),
        jwk(ED, kid="k", x="A" * MAX_NUMBER + "AQAB"),
    ],
)
def test_a_number_too_long_for_any_key_is_not_even_read(
    ignored: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    for reader in ("_number", f"{ignored['kty']}Key"):
        monkeypatch.setattr(f"sessiond.jwt.keyset.{reader}", None)
    assert verification_key(ignored) is None


def test_what_is_no_object_is_ignored() -> None:
    assert kids(KeySet.parse({"keys": [None, "key", jwk(RSA, kid="good")]})) == ["good"]


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({}, "keys is missing, wanted a list"),
        ({"keys": {"kty": "RSA"}}, "keys is an object, wanted a list"),
        ({"keys": [{}] * 101}, "the key set has 101 keys, wanted 100 at most: "),
        ({"keys": [{"kty": "EC"}, 7]}, "none of the key set's 1 entries is a usable "),
        ({"keys": [{"kty": "oct", "kid": "k"}]}, r'secret or private key \(kid "k"\), wanted '),
    ],
)
def test_why_it_is_no_key_set_is_said(document: dict[str, object], said: str) -> None:
    with pytest.raises(IssuerUnavailable, match=said):
        KeySet.parse(document)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"keys": None},
        {"keys": {"kty": "RSA"}},
        {"keys": []},
        {"keys": [jwk(RSA, use="enc")]},
        {"keys": [short_rsa()]},
        {"keys": [jwk(RSA, kid="k")] * (MAX_KEYS + 1)},
    ],
)
def test_a_document_without_a_usable_key_is_no_key_set(document: dict[str, object]) -> None:
    with pytest.raises(IssuerUnavailable):
        KeySet.parse(document)


@pytest.mark.parametrize(
    "leaked",
    [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "k"},
        {"kty": "oct"},
        {"kty": "unknown", "k": "c2VjcmV0"},
        {**RSA.as_dict(private=True), "kid": "k"},
        {**RSA.as_dict(private=True), "kid": "k", "use": "enc"},
        {**EC.as_dict(private=True), "kid": "k"},
        {**ED.as_dict(private=True), "kid": "k"},
    ],
)
def test_a_set_that_publishes_a_secret_or_private_key_is_refused(
    leaked: dict[str, object],
) -> None:
    with pytest.raises(IssuerUnavailable, match="publishes") as refused:
        keys(leaked, jwk(RSA, kid="good"))
    assert "c2VjcmV0" not in str(refused.value)


def test_what_is_listed_twice_is_there_once() -> None:
    twice = keys(jwk(RSA, kid="k", use="sig"), jwk(EC, kid="e"), jwk(RSA, kid="k", x5c=["MIIB"]))
    assert kids(twice) == ["k", "e"]


def test_a_kid_of_several_types_or_algorithms_is_told_apart_by_them() -> None:
    found = keys(
        jwk(RSA, kid="k", alg="RS256"),
        jwk(RSA, kid="k", alg="PS256"),
        jwk(EC, kid="k"),
        jwk(RSA, kid="k", use="enc"),
    )
    for algorithm, key in (("RS256", RSA), ("PS256", RSA), ("ES256", EC)):
        tried = found.candidates(kid="k", algorithm=algorithm)
        assert [each.id for each in tried] == [key.thumbprint()]
    with pytest.raises(UnknownKeyError, match='alg is "RS512", wanted one of a key of kid "k"'):
        found.candidates(kid="k", algorithm="RS512")
    assert found.algorithms == {"RS256", "PS256", "ES256"}


def test_of_several_keys_of_one_kid_and_algorithm_each_is_tried() -> None:
    found = keys(jwk(RSA, kid="k"), jwk(OTHER_RSA, kid="k"), jwk(RSA, kid="other"))
    tried = found.candidates(kid="k", algorithm="RS256")
    assert [key.id for key in tried] == [RSA.thumbprint(), OTHER_RSA.thumbprint()]


def test_a_key_of_several_names_is_tried_once() -> None:
    found = keys(jwk(RSA, kid="a"), jwk(RSA, kid="b"), jwk(RSA, alg="RS256"))
    assert len(found.candidates(kid=None, algorithm="RS256")) == 1


@pytest.mark.parametrize("member", ["alg", "use", "key_ops", "kid", "issuer", "x5t", "d", "k", "x"])
def test_a_null_member_is_an_absent_one(member: str) -> None:
    (key,) = keys({**jwk(RSA), member: None}).keys
    assert key == keys(jwk(RSA)).keys[0]


@pytest.mark.parametrize("key", [RSA, EC, ED])
def test_padded_and_standard_base64_and_leading_zeros_are_taken_as_meant(key: AnyKey) -> None:
    written = jwk(key, kid="k")
    for name in {"n", "e", "x", "y"} & written.keys():
        octets = urlsafe_b64decode(str(written[name]).encode())
        zeros = b"\0" * (name in ("n", "e"))
        written[name] = base64.b64encode(zeros + octets).decode()
    assert keys(written) == keys(jwk(key, kid="k"))


def test_a_key_is_found_by_its_certificate_where_the_token_names_no_other() -> None:
    found = keys(
        jwk(RSA, kid="a", x5t="Zmlyc3Q="), jwk(OTHER_RSA, kid="b", **{"x5t#S256": "c2Vjb25k"})
    )

    def tried(*thumbprints: str, kid: str | None = None) -> list[str | None]:
        candidates = found.candidates(kid=kid, algorithm="RS256", thumbprints=thumbprints)
        return [key.kid for key in candidates]

    assert tried("Zmlyc3Q") == ["a"]
    assert tried("c2Vjb25k") == ["b"]
    assert tried("another") == tried() == ["a", "b"]
    assert tried("Zmlyc3Q", kid="b") == ["b"]


odd_entries: st.SearchStrategy[list[object]] = st.lists(
    st.sampled_from(
        [
            jwk(RSA, kid="k"),
            jwk(RSA, kid="k", alg="PS512"),
            jwk(OTHER_RSA, kid="k"),
            jwk(EC, kid="k", alg=None),
            jwk(ED),
            jwk(RSA, kid="k", n=7),
            {"kty": None},
            {"kty": "EC", "crv": "P-256", "x": "==", "y": "/+"},
            {"kid": [], "x5t": {}},
            None,
            "a",
        ]
    ),
    max_size=6,
)


@given(before=odd_entries, after=odd_entries)
def test_no_entry_costs_more_than_itself(before: list[object], after: list[object]) -> None:
    good = jwk(EC, kid="good")
    found = KeySet.parse({"keys": [*before, good, *after]})
    assert [key.id for key in found.candidates(kid="good", algorithm="ES256")] == [EC.thumbprint()]
    for algorithm in found.algorithms:
        assert len(found.candidates(kid=None, algorithm=algorithm)) <= MAX_CANDIDATES


def test_a_kid_selects_its_key_alone() -> None:
    found = keys(jwk(RSA, kid="one"), jwk(OTHER_RSA, kid="two"), jwk(EC))
    assert [key.kid for key in found.candidates(kid="two", algorithm="RS256")] == ["two"]


def test_a_key_of_the_kid_that_is_of_another_type_is_no_candidate() -> None:
    for kid in ("rsa", None):
        with pytest.raises(UnknownKeyError, match="wanted one of a key"):
            keys(jwk(RSA, kid="rsa")).candidates(kid=kid, algorithm="ES256")


def test_a_header_names_a_key_by_its_kid_or_else_by_its_certificate() -> None:
    found = keys(jwk(RSA, kid="a", x5t="X_0="), jwk(OTHER_RSA))
    (one, _) = found.keys
    assert found.named(kid="a") == found.named(kid=None, thumbprints=["X/0"]) == (one,)
    assert found.named(kid="b", thumbprints=["X_0"]) == found.named(kid=None) == ()
    assert found.only(one).keys == (one,)


def test_an_unknown_kid_is_told_apart() -> None:
    with pytest.raises(UnknownKeyError) as unknown:
        keys().candidates(kid="new", algorithm="RS256")
    assert str(unknown.value) == 'kid is "new", wanted one of the issuer\'s, "ec" or "ed" or "rsa"'


def test_a_key_without_a_kid_may_have_signed_anything_of_its_type() -> None:
    found = keys(jwk(RSA), jwk(EC), jwk(OTHER_RSA, kid="k"))
    tried = found.candidates(kid="unknown", algorithm="RS256")
    assert [key.id for key in tried] == [RSA.thumbprint()]


def test_a_token_is_tried_with_few_keys_however_many_have_no_kid() -> None:
    found = keys(*[jwk(ECKey.generate_key("P-256")) for _ in range(MAX_CANDIDATES + 3)], jwk(RSA))
    for kid in (None, "unknown"):
        tried = found.candidates(kid=kid, algorithm="ES256")
        assert [key.id for key in tried] == [key.id for key in found.keys[:MAX_CANDIDATES]]


def test_a_token_without_a_kid_may_be_of_any_key_of_its_type() -> None:
    found = keys(jwk(RSA, kid="a"), jwk(EC, kid="b"), jwk(OTHER_RSA))
    tried = found.candidates(kid=None, algorithm="PS256")
    assert [key.id for key in tried] == [RSA.thumbprint(), OTHER_RSA.thumbprint()]


def test_a_set_knows_which_keys_it_holds_whatever_they_are_called() -> None:
    found = keys(jwk(RSA, kid="k"), jwk(EC))
    assert found.holds(RSA.thumbprint())
    assert found.holds(EC.thumbprint())
    assert not found.holds(OTHER_RSA.thumbprint())
    assert not keys(jwk(OTHER_RSA, kid="k")).holds(RSA.thumbprint())


def test_an_empty_kid_is_a_kid() -> None:
    found = keys(jwk(RSA, kid=""), jwk(OTHER_RSA))
    assert [key.kid for key in found.candidates(kid="", algorithm="RS256")] == [""]
