"""An ID token is of the sign-in that was begun, or nobody is signed in by it."""

import json
from collections.abc import Mapping
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessiond.core.errors import Refusal, TokenRejected
from sessiond.jwt.id_token import MAX_AGE, MAX_SIZE, IdTokenRules, read_id_token
from tests.unit.jwt.forge import ISSUER, NOW, OTHER_RSA, T, b64, signed, without

NONCE = "n-0S6_WzA2Mj"
CLIENT = "kdb-web"
LEEWAY = 30  # seconds
RULES = IdTokenRules(
    issuers=frozenset({ISSUER, "https://old.example.com/"}),
    client_id=CLIENT,
    leeway=timedelta(seconds=LEEWAY),
)
CLAIMS: dict[str, object] = {
    "iss": ISSUER,
    "sub": "a-1",
    "aud": CLIENT,
    "exp": T + 300,
    "iat": T,
    "nonce": NONCE,
}


def id_token(claims: Mapping[str, object]) -> str:
    return signed({"alg": "RS256"}, claims).reveal()


UNSIGNED, NOTHING = b64('{"alg":"none"}'), b64("{}")
ENCRYPTED = b64('{"alg":"RSA-OAEP","enc":"A128GCM"}') + ".a.b.c.d"


def of_payload(payload: bytes) -> str:
    return f"{UNSIGNED}.{b64(payload)}.c2ln"


def read(text: object) -> Mapping[str, object]:
    return read_id_token(text, RULES, nonce=NONCE, now=NOW)


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"iss": "https://old.example.com/"},
        {"aud": [CLIENT]},
        {"aud": [CLIENT], "azp": CLIENT},
        {"aud": [CLIENT, CLIENT]},
        {"aud": ["other", CLIENT], "azp": CLIENT},
        {"iat": T + LEEWAY},
        {"iat": T - MAX_AGE.total_seconds() - LEEWAY},
        {"exp": T + 0.5},
        {"nbf": T},
        {"at_hash": "x", "auth_time": T, "acr": "1", "amr": ["pwd"], "email": "a@b"},
    ],
)
def test_one_of_this_sign_in_says_who_it_is(other: dict[str, object]) -> None:
    assert read(id_token({**CLAIMS, **other})) == {**CLAIMS, **other}


def test_its_signature_is_not_looked_at_since_the_token_endpoint_has_answered_with_it() -> None:
    assert read(signed({"alg": "RS256"}, CLAIMS, OTHER_RSA).reveal())["sub"] == "a-1"
    assert read(f"{UNSIGNED}.{b64(json.dumps(CLAIMS))}.")["sub"] == "a-1"


@pytest.mark.parametrize(
    ("claim", "value", "reason"),
    [
        ("iss", "https://login.example.com", Refusal.WRONGISSUER),
        ("iss", "https://evil.example.com/", Refusal.WRONGISSUER),
        ("iss", [ISSUER], Refusal.WRONGISSUER),
        ("iss", None, Refusal.WRONGISSUER),
        ("aud", "qstudio", Refusal.WRONGAUDIENCE),
        ("aud", CLIENT.upper(), Refusal.WRONGAUDIENCE),
        ("aud", [], Refusal.WRONGAUDIENCE),
        ("aud", ["other", CLIENT], Refusal.WRONGAUDIENCE),  # and no azp
        ("aud", [CLIENT, 7], Refusal.MALFORMED),
        ("aud", {"a": CLIENT}, Refusal.MALFORMED),
        ("aud", None, Refusal.MALFORMED),
        ("azp", "qstudio", Refusal.WRONGAUDIENCE),
        ("azp", None, Refusal.WRONGAUDIENCE),
        ("azp", [CLIENT], Refusal.WRONGAUDIENCE),
        ("exp", T, Refusal.EXPIRED),
        ("exp", T - 1, Refusal.EXPIRED),
        ("exp", str(T + 300), Refusal.MALFORMED),
        ("exp", True, Refusal.MALFORMED),
        ("exp", 1e300, Refusal.MALFORMED),
        ("iat", T + LEEWAY + 1, Refusal.NOTYET),
        ("iat", T + 86400, Refusal.NOTYET),
        ("iat", T - MAX_AGE.total_seconds() - LEEWAY - 1, Refusal.EXPIRED),
        ("iat", 0, Refusal.EXPIRED),
        ("iat", -1, Refusal.MALFORMED),
        ("nbf", T + LEEWAY + 1, Refusal.NOTYET),
        ("nonce", "another", Refusal.USERMISMATCH),
        ("nonce", NONCE + "x", Refusal.USERMISMATCH),
        ("nonce", "", Refusal.USERMISMATCH),
        ("nonce", "\udcff", Refusal.USERMISMATCH),
        ("nonce", None, Refusal.MALFORMED),
        ("nonce", [NONCE], Refusal.MALFORMED),
        ("sub", "", Refusal.MALFORMED),
        ("sub", 7, Refusal.MALFORMED),
        ("sub", None, Refusal.MALFORMED),
        ("sub", "x" * 257, Refusal.MALFORMED),
        ("sub", "\u0430-1", Refusal.MALFORMED),
    ],
)
def test_a_claim_that_is_another_s_or_out_of_order_signs_nobody_in(
    claim: str, value: object, reason: Refusal
) -> None:
    with pytest.raises(TokenRejected) as rejected:
        read(id_token({**CLAIMS, claim: value}))
    assert rejected.value.reason is reason


@pytest.mark.parametrize("claim", sorted(CLAIMS))
def test_no_claim_may_be_missing(claim: str) -> None:
    with pytest.raises(TokenRejected, match="missing"):
        read(id_token(without(CLAIMS, claim)))


WHOLE = json.dumps(CLAIMS).encode()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, Refusal.MALFORMED),
        (7, Refusal.MALFORMED),
        ({"id": 1}, Refusal.MALFORMED),
        ("", Refusal.MALFORMED),
        ("a.b", Refusal.MALFORMED),
        ("a.b.c.d", Refusal.MALFORMED),
        ("é.é.é", Refusal.MALFORMED),
        (f"{id_token(CLAIMS)}\n", Refusal.MALFORMED),
        (of_payload(b"no JSON"), Refusal.MALFORMED),
        (of_payload(b"[]"), Refusal.MALFORMED),
        (of_payload(WHOLE + WHOLE), Refusal.MALFORMED),
        (of_payload(WHOLE[:-1] + b',"nonce":"another"}'), Refusal.MALFORMED),  # twice
        (of_payload(WHOLE[:-1] + b',"x":NaN}'), Refusal.MALFORMED),
        (of_payload(WHOLE[:-1] + b',"x":"\xff"}'), Refusal.MALFORMED),
        (of_payload(WHOLE[:-1] + b',"x":' + b"[" * 100 + b"]" * 100 + b"}"), Refusal.MALFORMED),
        (f"{NOTHING}.abcde.c2ln", Refusal.MALFORMED),
        (ENCRYPTED, Refusal.MALFORMED),
        (of_payload(b" " * MAX_SIZE), Refusal.TOOLARGE),
    ],
)
def test_what_is_no_id_token_signs_nobody_in(text: object, reason: Refusal) -> None:
    with pytest.raises(TokenRejected) as rejected:
        read(text)
    assert rejected.value.reason is reason


def test_an_encrypted_one_is_called_so() -> None:
    with pytest.raises(TokenRejected, match=r"encrypted \(JWE\)"):
        read(ENCRYPTED)


@given(
    st.dictionaries(
        st.sampled_from([*CLAIMS, "azp"]),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text()),
    )
)
def test_whatever_it_says_it_is_read_or_refused(other: dict[str, object]) -> None:
    text = of_payload(json.dumps({**CLAIMS, **other}).encode())
    try:
        claims = read(text)
    except TokenRejected as rejected:
        assert NONCE not in rejected.detail  # noqa: PT017 - either outcome is right
    else:
        assert (claims["nonce"], claims["iss"] in RULES.issuers) == (NONCE, True)


@given(st.text() | st.from_regex(r"[\w-]{0,20}(\.[\w-]{0,20}){0,4}"))
def test_any_text_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(TokenRejected):
        read(text)
