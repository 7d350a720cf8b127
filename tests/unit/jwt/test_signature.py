import hmac
import json
import zlib

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from sessiond.core.errors import Refusal, TokenRejected
from sessiond.core.secret import Secret
from sessiond.jwt.header import (
    ALGORITHMS,
    HEADER_MEMBERS,
    REFUSED_MEMBERS,
    HeaderRules,
    Signers,
    media_type,
)
from sessiond.jwt.keyset import MAX_CANDIDATES, KeySet, UnknownKeyError
from sessiond.jwt.signature import (
    MAX_TOKEN_SIZE,
    Signed,
    names_key,
    signed_claims,
    signing_key,
)
from tests.unit.jwt.forge import (
    CLAIMS,
    EC,
    ED,
    HEADER,
    OTHER_RSA,
    RSA,
    AnyKey,
    b64,
    jwk,
    keys,
    signed,
    token,
    without,
)

ALLOWED = frozenset({"RS256", "ES256", "EdDSA", "Ed25519"})
TYPES = frozenset({"at+jwt"})
BY = keys()
EDWARDS = {"kid": "ed", "alg": "EdDSA"}


def read(
    presented: Secret,
    by: KeySet | None = None,
    *,
    algorithms: frozenset[str] = ALLOWED,
    types: frozenset[str] = TYPES,
) -> Signed:
    rules = HeaderRules.of(algorithms=algorithms, types=types)
    return signed_claims(presented, Signers(by or keys(), rules))


def reason(
    presented: Secret,
    by: KeySet | None = None,
    *,
    algorithms: frozenset[str] = ALLOWED,
    types: frozenset[str] = TYPES,
) -> Refusal:
    with pytest.raises(TokenRejected) as rejected:
        read(presented, by, algorithms=algorithms, types=types)
    assert rejected.value.__context__ is None  # which could carry the token
    return rejected.value.reason


# What is accepted


@pytest.mark.parametrize(
    ("kid", "algorithm", "key"),
    [("rsa", "RS256", RSA), ("ec", "ES256", EC), ("ed", "EdDSA", ED), ("ed", "Ed25519", ED)],
)
def test_a_good_signature_gives_the_claims_and_the_key(
    kid: str, algorithm: str, key: AnyKey
) -> None:
    read_token = read(token(header={"kid": kid, "alg": algorithm}, key=key))
    assert read_token.claims == CLAIMS
    assert read_token.key.kid == kid


@pytest.mark.parametrize("allowed", ["EdDSA", "Ed25519"])
@pytest.mark.parametrize("stated", ["EdDSA", "Ed25519"])
def test_either_name_of_the_edwards_algorithm_allows_the_other(allowed: str, stated: str) -> None:
    presented = token(header={"kid": "ed", "alg": stated}, key=ED)
    assert read(presented, algorithms=frozenset({allowed})).claims == CLAIMS


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_every_known_algorithm_can_be_allowed(algorithm: str) -> None:
    curves = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
    key: AnyKey = ED if algorithm == "Ed25519" else RSA
    if algorithm in curves:
        key = ECKey.generate_key(curves[algorithm])
    header = {"alg": algorithm, "typ": "at+jwt", "kid": "k"}
    text = jws.serialize_compact(header, json.dumps(CLAIMS), key, algorithms=[algorithm])
    by = keys(jwk(key, kid="k"))
    assert read(Secret(text), by, algorithms=frozenset({algorithm})).claims == CLAIMS
    others = ALGORITHMS - {algorithm}
    assert reason(Secret(text), by, algorithms=others) == Refusal.BADSIGNATURE


def test_the_edwards_example_of_rfc_8037_holds() -> None:
    public = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    example = Secret(
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc."
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    )
    # The payload is a sentence and no JSON, which is looked at only after the signature held.
    assert reason(example, keys(public), types=frozenset({""})) == Refusal.MALFORMED


def test_thumbprints_of_a_certificate_are_allowed_in_the_header() -> None:
    assert read(token(header={"x5t": "abc", "x5t#S256": "def"})).claims == CLAIMS


# The signature


def test_a_signature_by_another_key_is_refused() -> None:
    assert reason(token(key=OTHER_RSA)) == Refusal.BADSIGNATURE


def test_a_changed_payload_is_refused() -> None:
    header, _, signature = token().reveal().split(".")
    changed = b64(json.dumps({**CLAIMS, "preferred_username": "bob@example.com"}))
    assert reason(Secret(f"{header}.{changed}.{signature}")) == Refusal.BADSIGNATURE


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE"])
def test_alg_none_is_refused(alg: str) -> None:
    unsigned = f"{b64(json.dumps({**HEADER, 'alg': alg}))}.{b64(json.dumps(CLAIMS))}."
    for allowed in (ALLOWED, ALLOWED | {alg}):
        assert reason(Secret(unsigned), algorithms=allowed) == Refusal.MALFORMED  # it has two parts
        assert reason(Secret(unsigned + "AA"), algorithms=allowed) == Refusal.BADSIGNATURE


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
def test_a_mac_made_with_the_public_key_is_refused_even_where_macs_are_allowed(alg: str) -> None:
    text = f"{b64(json.dumps({**HEADER, 'alg': alg}))}.{b64(json.dumps(CLAIMS))}"
    mac = hmac.digest(RSA.as_pem(private=False), text.encode(), alg.replace("HS", "sha"))
    presented = Secret(f"{text}.{b64(mac)}")
    assert reason(presented) == Refusal.BADSIGNATURE
    assert reason(presented, algorithms=ALLOWED | {alg}) == Refusal.BADSIGNATURE


def test_an_algorithm_that_is_not_allowed_is_refused_though_the_signature_holds() -> None:
    assert reason(token(), algorithms=frozenset({"ES256"})) == Refusal.BADSIGNATURE


def test_a_key_is_not_used_with_an_algorithm_of_another_type() -> None:
    for header in ({"alg": "ES256"}, {"kid": "ec"}):
        with pytest.raises(UnknownKeyError):
            read(token(header=header))


def test_a_key_is_not_used_with_another_algorithm_than_it_states() -> None:
    stated = keys(jwk(RSA, kid="rsa", alg="PS256"))
    with pytest.raises(UnknownKeyError):
        read(token(), stated)


def test_the_kid_of_another_key_is_refused() -> None:
    by = keys(jwk(RSA, kid="rsa"), jwk(OTHER_RSA, kid="other"))
    assert reason(token(header={"kid": "other"}), by) == Refusal.BADSIGNATURE


def test_an_unknown_kid_is_told_apart_so_that_the_keys_can_be_fetched_again() -> None:
    with pytest.raises(UnknownKeyError) as unknown:
        read(token(header={"kid": "new"}))
    assert unknown.value.is_named


@pytest.mark.parametrize("header", [{}, {"x5t": "of-no-key-here"}, {"kid": "of-no-key-here"}])
def test_a_key_that_no_header_names_may_be_one_that_is_not_known_yet(
    header: dict[str, object],
) -> None:
    by = keys(jwk(RSA), jwk(OTHER_RSA, x5t="known"))
    unnamed = {**without(HEADER, "kid"), **header}
    signers = Signers(by, HeaderRules.of(algorithms=ALLOWED, types=TYPES))
    of_a_new_one = signed(unnamed, CLAIMS, RSAKey.generate_key(2048))
    with pytest.raises(UnknownKeyError, match="no signature of a key") as unknown:
        read(of_a_new_one, by)
    assert not unknown.value.is_named
    assert not names_key(of_a_new_one, signers)
    assert signing_key(signed(unnamed, CLAIMS), signers).id == RSA.thumbprint()
    named = signed({**unnamed, "x5t": "known"}, CLAIMS)
    if "kid" not in header:
        assert names_key(named, signers)
        assert reason(named, by) == Refusal.BADSIGNATURE


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ({"alg": "none"}, Refusal.BADSIGNATURE),
        ({"typ": "JWT"}, Refusal.WRONGTYPE),
        ({"crit": ["exp"]}, Refusal.MALFORMED),
    ],
)
def test_a_bad_header_makes_nobody_fetch_keys(header: dict[str, object], expected: Refusal) -> None:
    assert reason(token(header={"kid": "new", **header})) == expected


@pytest.mark.parametrize("kids", [("a", "b"), ("a", None), (None, None), ("a", "a")])
def test_without_a_kid_each_key_is_tried_whatever_it_is_called(
    kids: tuple[str | None, str | None],
) -> None:
    by = keys(jwk(OTHER_RSA, kid=kids[0]), jwk(RSA, kid=kids[1]))
    found = read(signed(without(HEADER, "kid"), CLAIMS), by)
    assert found.key.id == RSA.thumbprint()


@pytest.mark.parametrize("member", ["x5t", "x5t#S256"])
def test_a_header_without_a_kid_may_name_the_keys_certificate(member: str) -> None:
    others = [jwk(RSAKey.generate_key(2048), kid=f"{n}") for n in range(MAX_CANDIDATES)]
    by = keys(*others, jwk(RSA, kid="x", **{member: "VGh1bWI"}))
    header = {**without(HEADER, "kid"), member: "VGh1bWI"}
    assert read(signed(header, CLAIMS), by).key.kid == "x"
    assert reason(signed(header, CLAIMS, OTHER_RSA), by) == Refusal.BADSIGNATURE


def test_a_name_of_two_keys_is_the_one_that_has_signed() -> None:
    by = keys(jwk(OTHER_RSA, kid="rsa"), jwk(EC, kid="rsa"), jwk(RSA, kid="rsa"))
    assert read(token(), by).key.id == RSA.thumbprint()
    assert read(token(header={"alg": "ES256"}, key=EC), by).key.id == EC.thumbprint()
    assert reason(token(key=RSAKey.generate_key(2048)), by) == Refusal.BADSIGNATURE


def test_a_signature_of_another_length_or_spelling_is_refused() -> None:
    for presented in (token(), token(header={"kid": "ec", "alg": "ES256"}, key=EC)):
        text = presented.reveal()
        for changed in (text[:-4], text + "AAAA", text + "A"):
            assert reason(Secret(changed)) == Refusal.BADSIGNATURE
        for padding in ("=", "=="):
            assert reason(Secret(text + padding)) == Refusal.MALFORMED


def test_an_edwards_signature_of_another_length_is_refused() -> None:
    text = token(header={"kid": "ed", "alg": "EdDSA"}, key=ED).reveal()
    assert reason(Secret(text[:-4])) == Refusal.BADSIGNATURE


# The header


BROUGHT: list[dict[str, object]] = [
    {"jwk": jwk(OTHER_RSA)},
    {"jku": "https://evil.example.com/keys"},
    {"x5u": "https://evil.example.com/cert"},
    {"x5c": ["MIIB"]},
]


@pytest.mark.parametrize("members", BROUGHT)
def test_a_key_brought_along_in_the_header_is_not_used(members: dict[str, object]) -> None:
    assert reason(token(header=members, key=OTHER_RSA)) == Refusal.BADSIGNATURE
    for kidless in (members, {**members, "kid": "new"}):
        with pytest.raises((TokenRejected, UnknownKeyError)):
            read(signed({**without(HEADER, "kid"), **kidless}, CLAIMS, OTHER_RSA))


@pytest.mark.parametrize(
    "members",
    [
        *BROUGHT,
        {"jku": 7, "x5u": [], "x5c": "MIIB", "jwk": "no key", "cty": {}},
        {"pi.atm": "1"},  # PingFederate
        {"cat": "cl_B7d4PD111AAA"},  # Clerk
        {"jku": "https://tenant.authentication.eu10.hana.ondemand.com/token_keys"},  # SAP
        {"cty": "JWT"},
        {"enc": "A256GCM"},
        {"iss": "https://evil.example.com/", "sub": "x", "aud": "x"},  # RFC 7519, 5.3
        {"unheard-of": 1, "": None},
    ],
)
def test_a_header_member_that_is_not_understood_is_ignored(members: dict[str, object]) -> None:
    for key, header in ((RSA, {}), (EC, {"kid": "ec", "alg": "ES256"}), (ED, EDWARDS)):
        assert read(token(header={**header, **members}, key=key)).claims == CLAIMS


@given(name=st.text(max_size=9), value=st.recursive(st.none() | st.text(max_size=9), st.lists))
def test_whatever_else_a_header_has_changes_no_verdict(name: str, value: object) -> None:
    assume(name not in (*HEADER_MEMBERS, *REFUSED_MEMBERS, "nonce"))
    header = {**EDWARDS, name: value}
    assert read(token(header=header, key=ED), BY).claims == CLAIMS
    assert reason(token(header={**header, "kid": "ed"}, key=EC), BY) == Refusal.BADSIGNATURE


@pytest.mark.parametrize(
    "members",
    [
        {"crit": ["exp"], "exp": 1},
        {"crit": []},
        {"crit": None},
        {"b64": False, "crit": ["b64"]},
        {"b64": False},
        {"b64": True},
        {"zip": "DEF"},
        {"zip": 1},
    ],
)
def test_a_header_member_that_changes_the_meaning_is_refused(members: dict[str, object]) -> None:
    assert reason(token(header=members)) == Refusal.MALFORMED


def test_a_compressed_payload_is_not_decompressed() -> None:
    squeezed = zlib.compress(json.dumps(CLAIMS).encode(), wbits=-15)
    assert reason(signed({**HEADER, "zip": "DEF"}, squeezed)) == Refusal.MALFORMED
    assert reason(signed(HEADER, squeezed)) == Refusal.MALFORMED


def test_a_token_for_microsoft_graph_is_refused() -> None:
    graph = {"typ": "JWT", "nonce": "n", "x5t": "t"}
    assert reason(token(header=graph), types=frozenset({"jwt"})) == Refusal.WRONGTYPE


@pytest.mark.parametrize("name", ["alg", "kid", "typ", "x5t"])
@pytest.mark.parametrize("value", [None, 1, True, ["RS256"], {}])
def test_a_header_member_that_is_no_string_is_refused(name: str, value: object) -> None:
    assert reason(token(header={name: value})) == Refusal.MALFORMED


def test_a_header_without_alg_is_refused() -> None:
    assert reason(signed(without(HEADER, "alg"), CLAIMS)) == Refusal.BADSIGNATURE


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"])
def test_typ_is_compared_without_case_and_media_prefix(typ: str) -> None:
    assert read(token(header={"typ": typ})).claims == CLAIMS
    assert media_type(typ) == "at+jwt"


@pytest.mark.parametrize(
    "typ", ["JWT", "", "application/", "id+jwt", "logout+jwt", "secevent+jwt", "at+jwt ", "at"]
)
def test_another_typ_is_refused_whether_or_not_it_may_be_absent(typ: str) -> None:
    for types in (TYPES, TYPES | {""}):
        assert reason(token(header={"typ": typ}), types=types) == Refusal.WRONGTYPE


def test_an_absent_typ_is_accepted_only_where_it_may_be_absent() -> None:
    presented = signed(without(HEADER, "typ"), CLAIMS)
    assert reason(presented) == Refusal.WRONGTYPE
    assert read(presented, types=TYPES | {""}).claims == CLAIMS


def test_a_header_has_room_for_a_chain_of_certificates_and_an_end() -> None:
    chain = ["M" * 2800] * 4  # of RSA-4096, each
    assert read(token(header={"x5c": chain})).claims == CLAIMS
    assert reason(token(header={"x5c": [*chain, *chain]})) == Refusal.MALFORMED


def test_a_token_far_too_long_is_refused_before_its_signature(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sessiond.jwt.signature._is_signed", None)
    assert reason(token({"x": "a" * MAX_TOKEN_SIZE})) == Refusal.MALFORMED


def test_an_encrypted_token_is_called_so() -> None:
    header = b64(json.dumps({"alg": "dir", "enc": "A256GCM"}))
    with pytest.raises(TokenRejected, match="an encrypted token"):
        read(Secret(f"{header}..aXY.c2VjcmV0.dGFn"))


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ({"alg": "HS256"}, 'alg is "HS256", wanted ES256, Ed25519, RS256: '),
        ({"typ": "JWT"}, 'typ in the header is "JWT", wanted "at+jwt": '),
        ({"typ": "\x1b[2J\u202e"}, 'typ in the header is "\\u001b[2J\\u202e", wanted '),
        ({"x5t": ["a"]}, 'x5t in the header is ["a"], wanted text'),
    ],
)
def test_a_refusal_says_what_was_seen_and_what_was_wanted(
    header: dict[str, object], said: str
) -> None:
    with pytest.raises(TokenRejected) as rejected:
        read(token(header=header))
    assert said in rejected.value.detail
    assert rejected.value.detail.isascii()


def test_a_refusal_without_a_typ_or_alg_or_kid_says_that_they_are_missing() -> None:
    for name, said in (("typ", "typ in the header is missing"), ("alg", "alg is missing")):
        with pytest.raises(TokenRejected, match=said):
            read(signed(without(HEADER, name), CLAIMS))
    with pytest.raises(UnknownKeyError, match="no kid, keys tried: 1 of 3"):
        read(signed(without(HEADER, "kid"), CLAIMS, OTHER_RSA))


# The JSON of both


GOOD = token()
HEADER_TEXT, PAYLOAD_TEXT = json.dumps(HEADER).encode(), json.dumps(CLAIMS).encode()


@pytest.mark.parametrize(
    "broken",
    [
        lambda text: text[:-1] + b',"alg":"RS256","exp":9999999999}',  # named twice
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: text.decode().encode("utf-16"),
        lambda text: text[:-1] + b',"a":' + b"[" * 2000 + b"]" * 2000 + b"}",
        lambda text: text[:-1] + b',"a":NaN}',
        lambda text: text[:-1] + b',"a":1e999}',
        lambda text: text[:-1] + b',"a":"\xff"}',
        lambda text: b"[" + text + b"]",
        lambda text: text + text,
        lambda text: text[:-1],
    ],
    ids=[
        "duplicate member",
        "byte order mark",
        "UTF-16",
        "deep",
        "NaN",
        "infinity",
        "not UTF-8",
        "a list",
        "two objects",
        "torn",
    ],
)
def test_json_that_is_not_strict_is_malformed_though_the_signature_holds(broken: object) -> None:
    assert callable(broken)
    assert reason(signed(broken(HEADER_TEXT), PAYLOAD_TEXT)) == Refusal.MALFORMED
    assert reason(signed(HEADER_TEXT, broken(PAYLOAD_TEXT))) == Refusal.MALFORMED


@pytest.mark.parametrize(
    "text", ["", "a", "a.b", "a.b.c.d", "..", "a..c", ".b.c", "a.b.", "a.b.c\n", "a.b.ç", "A.AA.AA"]
)
def test_what_is_not_three_parts_is_malformed(text: str) -> None:
    assert reason(Secret(text)) == Refusal.MALFORMED


@given(at=st.integers(min_value=0), put=st.sampled_from("AZaz09-_.=;+/ \n\0é"))
def test_a_token_with_any_one_character_changed_is_refused(at: int, put: str) -> None:
    text = GOOD.reveal()
    at %= len(text)
    changed = Secret(text[:at] + put + text[at + 1 :])
    if changed.same_as(GOOD):
        assert read(changed, BY).claims == CLAIMS
        return
    with pytest.raises((TokenRejected, UnknownKeyError)):
        read(changed, BY)
