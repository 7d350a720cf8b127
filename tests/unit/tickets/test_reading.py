"""A ticket is taken only where it is ours to the last bit, for this process, this user and now."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from sessiond.core.errors import TokenRejected
from sessiond.tickets.reading import CHECKS, PresentedAt, TicketCheck, TicketReading
from sessiond.tickets.settings import TicketSettings
from tests.fakes import START
from tests.unit.tickets.making import (
    HEADER,
    KEY,
    KEYS,
    NOW,
    SETTINGS,
    b64,
    claims,
    taken_apart,
    ticket,
)

HERE = PresentedAt(process="rdb100", typed="alice", now=START)
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))


def outcome(
    text: str,
    *,
    settings: TicketSettings | None = SETTINGS,
    at: PresentedAt = HERE,
    keys: dict[str, bytes] = KEYS,
) -> tuple[str, list[TicketCheck], str]:
    """Return the reason, what was passed before, and the words; no reason: it is taken."""
    passed: list[TicketCheck] = []
    try:
        TicketReading(taken_apart(text), settings, keys, at, passed).read()
    except TokenRejected as rejected:
        return rejected.reason.value, passed, rejected.detail
    return "", passed, ""


def reason(text: str, **at: Any) -> str:
    return outcome(text, **at)[0]


def changed(**members: object) -> dict[str, object]:
    """Return good claims with others in their place; None takes one out."""
    every = {**claims().members(), **members}
    return {name: each for name, each in every.items() if each is not None}


def test_a_good_ticket_says_who_and_passes_every_check() -> None:
    passed: list[TicketCheck] = []
    reading = TicketReading(taken_apart(KEY.sign(claims()).reveal()), SETTINGS, KEYS, HERE, passed)
    assert reading.read() == claims()
    assert tuple(passed) == CHECKS


def test_what_is_asked_of_it_is_asked_in_the_published_order() -> None:
    assert CHECKS == ("shape", "type", "issuer", "signature", "time", "audience", "user")


@pytest.mark.parametrize(
    ("header", "expected", "passed"),
    [
        ({**HEADER, "typ": "JWT"}, "wrongtype", 1),
        ({**HEADER, "typ": "at+jwt"}, "wrongtype", 1),
        ({**HEADER, "typ": "application/sessiond-ticket+jwt"}, "wrongtype", 1),
        ({"alg": "EdDSA", "kid": KEY.id}, "wrongtype", 1),
        ({**HEADER, "alg": "none"}, "wrongtype", 1),
        ({**HEADER, "alg": "HS256"}, "wrongtype", 1),
        ({**HEADER, "alg": "Ed25519"}, "wrongtype", 1),
        ({**HEADER, "alg": ["EdDSA"]}, "wrongtype", 1),
        ({**HEADER, "crit": ["x"], "x": 1}, "malformed", 1),
        ({**HEADER, "jwk": {"kty": "OKP"}}, "malformed", 1),
        ({**HEADER, "jku": "https://evil.example"}, "malformed", 1),
        ({"alg": "EdDSA", "typ": "sessiond-ticket+jwt"}, "malformed", 1),
        ({**HEADER, "kid": 1}, "malformed", 1),
        ({**HEADER, "kid": None}, "malformed", 1),
        ({**HEADER, "kid": "unknown"}, "badsignature", 3),
        (json.dumps(dict(HEADER))[:-1] + f', "kid": "{KEY.id}"}}', "malformed", 0),
    ],
)
def test_a_header_that_is_not_exactly_ours_is_refused(
    header: object, expected: str, passed: int
) -> None:
    if isinstance(header, str):  # which the password's reading finds already
        with pytest.raises(TokenRejected) as rejected:
            taken_apart(ticket(header))
        assert rejected.value.reason == expected
        return
    found, checks, _ = outcome(ticket(header))
    assert (found, tuple(checks)) == (expected, CHECKS[:passed])


@pytest.mark.parametrize(
    ("payload", "expected", "passed"),
    [
        (changed(iss="urn:sessiond:host2"), "wrongissuer", 2),
        (changed(iss=None), "wrongissuer", 2),
        (changed(iss=["urn:sessiond:host1"]), "wrongissuer", 2),
        (changed(iss="urn:sessiond:HOST1"), "wrongissuer", 2),
        (changed(scope="x"), "malformed", 4),
        (changed(sid=None), "malformed", 4),
        (changed(verdict="x"), "malformed", 4),
        (changed(exp=str(NOW + 30)), "malformed", 4),
        (changed(exp=NOW), "expired", 4),
        (changed(exp=NOW - 1), "expired", 4),
        (changed(exp=-(10**30)), "expired", 4),
        (changed(iat=NOW + 31, exp=NOW + 60), "notyet", 4),
        (changed(iat=10**30, exp=10**31), "notyet", 4),
        (changed(iat=NOW + 30, exp=NOW + 60), "", 7),
        (changed(aud="rdb200"), "wrongaudience", 5),
        (changed(aud="rdb100@host2"), "wrongaudience", 5),
        (changed(aud="rdb100@host1"), "", 7),
        (changed(aud="RDB100"), "", 7),
        (changed(name="bob"), "usermismatch", 6),
        (changed(name="ALICE"), "", 7),
        ("[]", "malformed", 0),
        ("not JSON", "malformed", 0),
        (json.dumps(changed())[:-1] + ', "name": "bob"}', "malformed", 0),
        (json.dumps(changed())[:-1] + ', "deep": ' + "[" * 20 + "]" * 20 + "}", "malformed", 0),
        (json.dumps(changed())[:-1] + ', "exp": NaN}', "malformed", 0),
        ("\ufeff" + json.dumps(changed()), "malformed", 0),
    ],
)
def test_claims_that_are_not_ours_for_now_are_refused_each_with_its_reason(
    payload: object, expected: str, passed: int
) -> None:
    found, checks, words = outcome(ticket(None, payload))
    assert (found, tuple(checks)) == (expected, CHECKS[:passed])
    assert bool(words) is bool(expected)


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_part_with_bits_left_over_is_not_as_it_was_made(part: int) -> None:
    """Which base64url would decode to the same bytes."""
    parts = ticket({**HEADER}, changed(sub="x" * 17)).split(".")
    assert len(parts[part]) % 4 in (2, 3)
    parts[part] = parts[part][:-1] + chr(ord(parts[part][-1]) + 1)
    assert reason(".".join(parts)) == "malformed"


def test_a_ticket_of_another_key_is_no_ticket() -> None:
    assert reason(ticket(key=OTHER)) == "badsignature"
    assert reason(ticket(), keys={}) == "badsignature"
    public = OTHER.public_key().public_bytes_raw()
    assert reason(ticket(), keys={KEY.id: public}) == "badsignature"


@pytest.mark.parametrize(
    "signature", ["", "x", "AAAA", b64(bytes(64)), b64(bytes(63)), b64(bytes(65))]
)
def test_a_signature_that_is_none_is_refused(signature: str) -> None:
    head = ticket().rsplit(".", 1)[0]
    if not signature:
        with pytest.raises(TokenRejected):
            taken_apart(f"{head}.")
        return
    assert reason(f"{head}.{signature}") in ("badsignature", "malformed")


def test_without_tickets_here_a_ticket_is_another_issuers() -> None:
    found, checks, words = outcome(ticket(), settings=None)
    assert (found, checks) == ("wrongissuer", ["shape", "type"])
    assert "[tickets]" in words


def test_what_was_changed_by_a_reload_counts_at_once() -> None:
    assert reason(ticket(), settings=replace(SETTINGS, issuer="urn:x:y")) == "wrongissuer"
    assert reason(ticket(), settings=replace(SETTINGS, host="host2")) == ""
    named = ticket(None, changed(aud="rdb100@host1"))
    assert reason(named, settings=replace(SETTINGS, host="host2")) == "wrongaudience"


def test_leeway_excuses_no_ticket_that_is_over() -> None:
    settings = replace(SETTINGS, leeway=timedelta(hours=1))
    late = replace(HERE, now=START + timedelta(seconds=30))
    assert reason(ticket(), settings=settings, at=late) == "expired"
    just = replace(HERE, now=START + timedelta(seconds=29.999))
    assert reason(ticket(), settings=settings, at=just) == ""


def test_where_no_process_is_named_any_of_this_host_may_be_meant() -> None:
    anywhere = replace(HERE, process=None)
    assert reason(ticket(None, changed(aud="rdb7")), at=anywhere) == ""
    assert reason(ticket(None, changed(aud="rdb7@host2")), at=anywhere) == "wrongaudience"


def test_no_reason_shows_any_of_the_ticket_that_could_be_used() -> None:
    text = ticket(key=OTHER)
    for part in text.split("."):
        assert part not in outcome(text)[2]


GOOD = ticket()
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ \n"


@given(at=st.integers(0, len(GOOD) - 1), char=st.sampled_from(ALPHABET))
def test_a_ticket_of_which_one_character_is_another_is_refused(at: int, char: str) -> None:
    assert is_refused(GOOD[:at] + char + GOOD[at + 1 :]) is (char != GOOD[at])


@given(at=st.integers(0, len(GOOD)), text=st.text(ALPHABET, min_size=1, max_size=3))
def test_a_ticket_with_something_more_is_refused(at: int, text: str) -> None:
    assert is_refused(GOOD[:at] + text + GOOD[at:])


@given(start=st.integers(0, len(GOOD)), end=st.integers(0, len(GOOD)))
def test_a_ticket_with_something_less_is_refused(start: int, end: int) -> None:
    first, last = sorted((start, end))
    assert is_refused(GOOD[:first] + GOOD[last:]) is (first < last)


def is_refused(text: str) -> bool:
    try:
        ticket_ = taken_apart(text)
        TicketReading(ticket_, SETTINGS, KEYS, HERE).read()
    except TokenRejected:  # any other exception is our bug
        return True
    return False


def test_one_for_a_name_that_is_no_audience_any_more_is_refused() -> None:
    """With the audience its guard may have gone, and any process may say the name."""
    found, passed, detail = outcome(
        ticket(None, changed()), settings=replace(SETTINGS, audiences=("hdb*",))
    )
    assert (found, len(passed)) == ("wrongaudience", 5)
    assert "does not match any more" in detail
