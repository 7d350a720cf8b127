"""PyJWT as a second opinion: what sessiond accepts, PyJWT accepts too.

PyJWT is asked as strictly as it can be. Where it accepts what sessiond refuses, one of the reasons
listed in STRICTER must hold; the other way round there is no exception.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import jwt as pyjwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sessiond.core.claims import ClaimRules, verdict_of
from sessiond.core.errors import TokenRejected
from sessiond.core.principal import is_name
from sessiond.core.secret import Secret
from sessiond.jwt.access import TokenRules, read_access_token
from sessiond.jwt.header import HEADER_MEMBERS, REFUSED_MEMBERS
from sessiond.jwt.keyset import UnknownKeyError
from tests.unit.jwt.forge import EC, ED, ISSUER, NOW, OTHER_RSA, RSA, AnyKey, T, jwk, keys, signed

AUDIENCE = "api://kdb"
ALGORITHMS = ["RS256", "ES256", "EdDSA"]
PUBLISHED = [jwk(RSA, kid="rsa"), jwk(EC, kid="ec"), jwk(ED, kid="ed")]
OUR_KEYS = keys(*PUBLISHED)
PYJWT_KEYS = pyjwt.PyJWKSet.from_dict({"keys": PUBLISHED})
RULES = TokenRules(
    issuers=frozenset({ISSUER}),
    audience=frozenset({AUDIENCE}),
    algorithms=frozenset(ALGORITHMS),
    types=frozenset({"at+jwt"}),
    leeway=timedelta(0),
)
CLAIM_RULES = ClaimRules(
    issuer="corp", user_claim="preferred_username", subject_claim="sub", lease=timedelta(hours=1)
)


class Forged(NamedTuple):
    header: dict[str, object]
    claims: dict[str, object]
    token: str


class _StoppedDatetime(datetime):
    """PyJWT reads the clock by itself."""

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return NOW


@pytest.fixture(autouse=True, scope="module")
def stopped_clock() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jwt.api_jwt.datetime", _StoppedDatetime)
        yield


def accepted_by_us(token: str) -> bool:
    try:
        read = read_access_token(Secret(token), RULES.signers(OUR_KEYS), RULES, now=NOW)
        verdict_of(read.claims, CLAIM_RULES, times=read.times, now=NOW, key_id=read.key_id)
    except (TokenRejected, UnknownKeyError):
        return False
    return True


def accepted_by_pyjwt(token: str) -> bool:
    """Say what it does with the key that the token names; where it names none, with each."""
    try:
        header = pyjwt.get_unverified_header(token)
        named = [PYJWT_KEYS[header["kid"]]] if "kid" in header else PYJWT_KEYS.keys
    except (pyjwt.PyJWTError, KeyError):
        return False
    return any(decoded_by_pyjwt(token, key) for key in named)


def decoded_by_pyjwt(token: str, key: pyjwt.PyJWK) -> bool:
    try:
        pyjwt.decode(
            token,
            key,
            algorithms=ALGORITHMS,
            audience=AUDIENCE,
            issuer=ISSUER,
            leeway=0,
            options={
                "require": ["exp", "iss", "aud", "sub"],
                "enforce_minimum_key_length": True,
                "verify_jti": False,  # nothing here reads `jti`, whatever it is
            },
        )
    except pyjwt.PyJWTError:
        return False
    return True


# What is a reason for us to refuse, and none for PyJWT


def _kind_is_wrong(claims: Mapping[str, object]) -> bool:
    return (
        bool({"nonce", "events"} & claims.keys())
        or claims.get("typ") == "ID"
        or claims.get("idtyp", "user") != "user"
        or ("client_id" in claims and claims["client_id"] == claims.get("sub"))
    )


def _is_no_date(value: object) -> bool:
    return (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not 0 <= value <= 253_000_000_000  # in the year 9987; some write milliseconds
    )


def _begins_within_this_second(claims: Mapping[str, object]) -> bool:
    begins = [claims.get("nbf"), claims.get("iat")]
    return any(isinstance(begin, float) and T < begin < T + 1 for begin in begins)


STRICTER: dict[str, Callable[[Forged], bool]] = {
    "a header member that changes the meaning": lambda it: bool(
        it.header.keys() & {*REFUSED_MEMBERS, "nonce"}
    ),
    "a header member that is no string": lambda it: (
        not all(isinstance(it.header[name], str) for name in it.header if name in HEADER_MEMBERS)
    ),
    "another typ": lambda it: it.header.get("typ") not in ("at+jwt", "application/AT+JWT"),
    "another kind of token": lambda it: _kind_is_wrong(it.claims),
    "a date that is no number, or no reasonable one": lambda it: any(
        name in it.claims and _is_no_date(it.claims[name]) for name in ("exp", "nbf", "iat")
    ),
    "a begin later in this second": lambda it: _begins_within_this_second(it.claims),
    "a name or subject that is no name": lambda it: (
        not all(
            isinstance(it.claims.get(name), str) and is_name(str(it.claims[name]))
            for name in ("sub", "preferred_username")
        )
    ),
}

# Tokens, mostly good, wrong in a few ways at once

SIGNERS: dict[str, AnyKey] = {"rsa": RSA, "ec": EC, "ed": ED, "other": OTHER_RSA}
USUAL = {"rsa": "RS256", "ec": "ES256", "ed": "EdDSA", "other": "RS256"}
GONE: Any = object()

odd = st.sampled_from([None, True, False, 0, -1, "", "x", [], ["x"], {}, {"x": 1}, 1.5, GONE])
ends = st.one_of(
    st.sampled_from([T - 1, T, T + 1, T + 3600]),
    # Whole seconds near now: PyJWT drops the fraction, which ends a token up to a second early.
    st.integers(T - 5, T + 5),
    st.sampled_from([str(T + 60), float(T + 60), T + 60.5, 10**9, 2**40]),
    odd,
)
begins = st.one_of(
    st.sampled_from([T - 3600, T - 1, T, T + 1, T + 0.5, str(T - 60), T - 60.5, GONE]), odd
)
issuers = st.one_of(
    st.sampled_from([ISSUER, ISSUER.rstrip("/"), ISSUER.upper(), "https://evil.example.com/"]), odd
)
audiences = st.one_of(
    st.sampled_from([AUDIENCE, [AUDIENCE], ["x", AUDIENCE], [AUDIENCE, 7], "x", AUDIENCE + "/"]),
    odd,
)
names = st.one_of(st.sampled_from(["alice", "al\u0131ce", "a\nb", "x" * 300]), odd)
CLAIMS: dict[str, tuple[object, st.SearchStrategy[Any]]] = {
    "iss": (ISSUER, issuers),
    "aud": (AUDIENCE, audiences),
    "exp": (T + 3600, ends),
    "iat": (T, begins),
    "nbf": (GONE, begins),
    "sub": ("a-1", names),
    "preferred_username": ("alice", names),
    "jti": (GONE, odd),
    "nonce": (GONE, odd),
    "events": (GONE, odd),
    "typ": (GONE, st.sampled_from(["ID", "Bearer"])),
    "idtyp": (GONE, st.sampled_from(["app", "user", None])),
    "client_id": (GONE, st.sampled_from(["a-1", "qstudio"])),
}
# Not Ed25519, which RFC 9864 made the name of EdDSA: PyJWT does not know it yet.
algs = st.sampled_from([*ALGORITHMS, "none", "HS256", "RS512", "PS256", None, 7, GONE])
typs = st.sampled_from(["application/AT+JWT", "JWT", "id+jwt", "", None, GONE])
kids = st.sampled_from(["rsa", "ec", "ed", "other", "", None, 7, GONE])
crits = st.sampled_from([[], ["exp"], ["b64"], "exp", None])
EXTRA = {"b64": False, "zip": "DEF", "jku": "https://evil.example.com/", "nonce": "n", "x5t": "t"}


@st.composite
def _members(
    draw: st.DrawFn, choices: Mapping[str, tuple[object, st.SearchStrategy[Any]]]
) -> dict[str, object]:
    """Draw an object: each member usual but for at most two."""
    changed = draw(st.lists(st.sampled_from(sorted(choices)), max_size=2))
    members = {
        name: draw(unusual) if name in changed else usual
        for name, (usual, unusual) in choices.items()
    }
    return {name: value for name, value in members.items() if value is not GONE}


@st.composite
def tokens(draw: st.DrawFn) -> Forged:
    signer = draw(st.sampled_from(sorted(SIGNERS)))
    usual = {
        "alg": (USUAL[signer], algs),
        "typ": ("at+jwt", typs),
        "kid": (signer, kids),
        "crit": (GONE, crits),
        **{name: (GONE, st.just(value)) for name, value in EXTRA.items()},
    }
    header = draw(_members(usual))
    claims = draw(_members(CLAIMS))
    token = signed(header, claims, SIGNERS[signer]).reveal()
    return Forged(header, claims, _damaged(draw, token))


def _damaged(draw: st.DrawFn, token: str) -> str:
    """Return the token, most often as it is."""
    if draw(st.integers(0, 7)):
        return token
    at = draw(st.integers(0, len(token) - 1))
    return token[:at] + draw(st.sampled_from("AZaz09-_.=+/ \n")) + token[at + 1 :]


@settings(max_examples=500)
@given(tokens())
def test_what_pyjwt_refuses_is_refused_and_what_it_accepts_is_refused_for_a_listed_reason(
    forged: Forged,
) -> None:
    ours, theirs = accepted_by_us(forged.token), accepted_by_pyjwt(forged.token)
    if ours:
        assert theirs
    elif theirs:
        assert [name for name, holds in STRICTER.items() if holds(forged)]


GOOD: dict[str, Any] = {"alg": "RS256", "typ": "at+jwt", "kid": "rsa"}
STRICTER_EXAMPLES: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    "a header member that changes the meaning": ({"zip": "DEF"}, {}),
    "a header member that is no string": ({"x5t": 7}, {}),
    "another typ": ({"typ": "JWT"}, {}),
    "another kind of token": ({}, {"nonce": "n"}),
    "a date that is no number, or no reasonable one": ({}, {"exp": str(T + 60)}),
    "a begin later in this second": ({}, {"nbf": T + 0.5}),
    "a name or subject that is no name": ({}, {"preferred_username": "al\u0131ce"}),
}


@pytest.mark.parametrize("why", STRICTER)
def test_each_reason_is_one_for_which_we_refuse_what_pyjwt_accepts(why: str) -> None:
    header, claims = STRICTER_EXAMPLES[why]
    usual = {name: usual for name, (usual, _) in CLAIMS.items() if usual is not GONE}
    it = Forged({**GOOD, **header}, {**usual, **claims}, "")
    token = signed(it.header, it.claims).reveal()
    assert [name for name, holds in STRICTER.items() if holds(it)] == [why]
    assert accepted_by_pyjwt(token)
    assert not accepted_by_us(token)


@pytest.mark.parametrize("signer", ["rsa", "ec", "ed"])
def test_both_accept_a_good_token(signer: str) -> None:
    usual = {name: usual for name, (usual, _) in CLAIMS.items() if usual is not GONE}
    header = {"alg": USUAL[signer], "typ": "at+jwt", "kid": signer}
    token = signed(header, usual, SIGNERS[signer]).reveal()
    assert accepted_by_us(token)
    assert accepted_by_pyjwt(token)


@pytest.mark.parametrize(
    "payload",
    [
        b'{"exp":NaN}',
        b'{"exp":1e999}',
        b'{"exp":"x"}',
        b"[]",
        b'"x"',
        b"\xff",
        b"{",
        b"[" * 5000,
    ],
)
def test_both_refuse_a_payload_that_is_no_object_of_claims(payload: bytes) -> None:
    token = signed(json.dumps(GOOD).encode(), payload).reveal()
    assert not accepted_by_us(token)
    assert not accepted_by_pyjwt(token)
