"""A begun sign-in is known again by its own browser, at its own base, for ten minutes."""

from collections.abc import Callable
from datetime import timedelta
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessiond.core.secret import Secret
from sessiond.store.sealing import KeyRing
from sessiond.web.base import Base
from sessiond.web.target import MAX_KEPT, way_back
from sessiond.web.transaction import MAX_COOKIE, Transaction, slot_of
from tests.fakes import START

HERE, THERE = Base("https://gateway.example:5007"), Base("https://gateway.example:5008")
RING = KeyRing({1: b"k" * 32})
STATE = "2" + "s" * 43


def transaction(to: str = "/page?x=1", *, state: str = STATE, is_meant: bool = True) -> Transaction:
    return Transaction(
        state=state,
        nonce="n" * 43,
        verifier=Secret("v" * 43),
        way_back=to,
        is_meant=is_meant,
        issuer="corp",
        made_at=START,
    )


def test_what_was_sealed_is_opened() -> None:
    value = transaction().sealed(HERE, RING)
    opened = Transaction.opened(value, HERE, RING, now=START)
    assert opened is not None
    assert opened.verifier.same_as(Secret("v" * 43))
    assert (opened.state, opened.nonce, opened.way_back, opened.issuer) == (
        STATE,
        "n" * 43,
        "/page?x=1",
        "corp",
    )
    assert (opened.slot, opened.is_meant, opened.made_at) == (2, True, START)


def test_another_key_opens_what_an_older_one_sealed() -> None:
    value = transaction().sealed(HERE, RING)
    ring = KeyRing({1: b"k" * 32, 2: b"l" * 32})
    assert Transaction.opened(value, HERE, ring, now=START) is not None


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda value: "",
        lambda value: value[:-1],
        lambda value: value + "A",
        lambda value: "B" + value[1:],
        lambda value: value[:30] + ("A" if value[30] != "A" else "B") + value[31:],
        lambda value: value.replace("-", "+").replace("_", "/") + "=",
        lambda value: value + "\r\n",
        lambda value: "\u00e9" + value,
        lambda value: "A" * (MAX_COOKIE + 1),
    ],
)
def test_what_was_changed_does_not_open(spoilt: Callable[[str], str]) -> None:
    value = transaction().sealed(HERE, RING)
    assert Transaction.opened(spoilt(value), HERE, RING, now=START) is None


@given(st.text(max_size=120))
def test_no_made_up_value_opens(value: str) -> None:
    assert Transaction.opened(value, HERE, RING, now=START) is None


def test_it_opens_at_no_other_base_and_by_no_other_key() -> None:
    value = transaction().sealed(HERE, RING)
    assert Transaction.opened(value, THERE, RING, now=START) is None
    assert Transaction.opened(value, HERE, KeyRing({1: b"x" * 32}), now=START) is None


def test_it_lasts_ten_minutes() -> None:
    value = transaction().sealed(HERE, RING)
    late = START + timedelta(minutes=10)
    assert Transaction.opened(value, HERE, RING, now=late - timedelta(seconds=1)) is not None
    assert Transaction.opened(value, HERE, RING, now=late) is None


@given(st.text(max_size=60))
def test_only_its_own_state_is_its(state: str) -> None:
    assert transaction().has_state(state) is (state == STATE)
    assert transaction(state=STATE).has_state(STATE)


@pytest.mark.parametrize(
    ("state", "slot"),
    [
        ("0" + "a" * 43, 0),
        ("3" + "-_" * 21 + "Z", 3),
        ("4" + "a" * 43, None),
        ("0" + "a" * 42, None),
        ("0" + "a" * 44, None),
        ("0" + "a" * 43 + "\n", None),
        ("\u0661" + "a" * 43, None),
        ("", None),
    ],
)
def test_a_state_says_which_cookie_it_is_in(state: str, slot: int | None) -> None:
    assert slot_of(state) == slot


def test_the_longest_fits_into_a_cookie() -> None:
    to = way_back("/" + quote("\u00e9") * 200)
    assert len(to) <= MAX_KEPT
    longest = transaction("/" + "a" * (MAX_KEPT - 1))
    assert len(longest.sealed(HERE, RING)) < 2500


def test_nothing_secret_of_it_is_shown() -> None:
    shown = repr(transaction())
    assert not any(each * 10 in shown for each in "snv")


def test_a_button_leads_to_no_query_of_another_sites() -> None:
    assert transaction().again == "/page?x=1"
    assert transaction(is_meant=False).again == "/page"
    assert transaction("/%3Fdelete?x", is_meant=False).again == "/"
    assert transaction("/%3Fdelete").again == "/%3Fdelete"


@pytest.mark.parametrize("header", ["", "a=b", "n-signin-2=x; n-signin-2=y"])
def test_a_header_without_its_cookie_or_with_two_holds_none(header: str) -> None:
    header = header.replace("n-", f"{HERE.cookie}-")
    assert Transaction.sent(header, HERE, 2, RING, now=START) is None
