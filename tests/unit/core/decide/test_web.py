"""Logins over HTTP: a browser's cookie, a bearer's token, and the websockets that they let in."""

from datetime import timedelta

import pytest

from sessiond.core.changes import SignOut, TouchWeb
from sessiond.core.errors import Refusal
from sessiond.core.queries import FindWeb
from sessiond.core.session import ActiveSession, SessionState
from tests.fakes import (
    HOUR,
    bind,
    presented,
    process_key,
    session_id,
    token_hash,
    web_login,
)
from tests.unit.core.decide.ledger import Ledger

BASE = "https://gw.example:5007"


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def find(cookie: str = "cookie", base: str = BASE, pid: int = 100) -> FindWeb:
    return FindWeb(process=process_key(pid), cookie=token_hash(cookie), base=base)


def sign_in(ledger: Ledger, number: int = 1, cookie: str = "cookie") -> ActiveSession:
    """Have alice sign in with her browser."""
    tokens = presented(f"access {number}", f"refresh {number}")
    change = web_login(number, tokens, cookie=cookie, base=BASE, state=f"state {number}")
    active = ledger.ask(change)
    assert isinstance(active, ActiveSession)
    return active


def test_a_browser_that_signs_in_is_found_by_its_cookie_at_its_origin_and_process(
    ledger: Ledger,
) -> None:
    active = sign_in(ledger)
    assert ledger.told == [("session.opened", 0, "")]
    assert (active.session.state, active.session.handle) == (SessionState.WEB, 0)
    assert active.session.until == ledger.now + HOUR
    assert ledger.ask(find()) == active
    assert ledger.ask(find("another")) is None
    assert ledger.ask(find(base="https://gw.example:5008")) is None
    assert ledger.ask(find(pid=101)) is None


def test_a_sign_in_makes_one_session(ledger: Ledger) -> None:
    sign_in(ledger)
    again = web_login(2, presented("b", "c"), cookie="another", base=BASE, state="state 1")
    assert ledger.refusal(again) is Refusal.REVOKED


def test_the_same_bearer_is_one_session(ledger: Ledger) -> None:
    first = ledger.ask(web_login(1))
    assert isinstance(first, ActiveSession)
    assert ledger.ask(web_login(2)) == first
    assert not ledger.writes
    assert ledger.alive == {1}


def test_a_handle_that_it_lets_in_ends_with_it(ledger: Ledger) -> None:
    sign_in(ledger)
    child = ledger.ask(bind(1, handle=9))
    assert child is not None
    assert child != session_id(1)
    assert ledger.rows.sessions[child].parent == session_id(1)
    assert ledger.ask(SignOut(process=process_key(), session=session_id(1)))
    assert ledger.told == [("session.closed", 0, "signout"), ("session.revoked", 9, "parent")]
    assert ledger.alive == set()
    assert not ledger.rows.web_logins
    assert ledger.granted == set()


def test_who_uses_it_keeps_it_and_who_does_not_loses_it(ledger: Ledger) -> None:
    sign_in(ledger)
    ledger.let_pass(timedelta(minutes=5))
    assert ledger.ask(TouchWeb(session=session_id(1)))
    assert not ledger.writes
    ledger.let_pass(timedelta(minutes=1))
    assert ledger.ask(TouchWeb(session=session_id(1)))
    assert ledger.session(1).until == ledger.now + HOUR
