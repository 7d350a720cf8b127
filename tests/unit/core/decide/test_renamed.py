"""What the issuer calls by another name than the one that a session was opened under ends."""

import pytest

from sessiond.core import reading
from sessiond.core.changes import BeginRefresh, Recheck, Refresh, Rotate
from sessiond.core.secret import Secret
from tests.fakes import MINUTE, grant_id, login, presented, principal, token_hash, verdict
from tests.unit.core.decide.ledger import Ledger

ENDED = ("session.revoked", "usermismatch")


@pytest.fixture
def ledger() -> Ledger:
    """Alice with a pair of tokens on handles 1 and 2, and with the access token alone on 3."""
    ledger = Ledger()
    ledger.log_in(1, "access", "refresh")
    ledger.log_in(2, "access", "refresh")
    ledger.log_in(3, "access")
    ledger.let_pass(36 * MINUTE)
    return ledger


def renamed(ledger: Ledger, name: str = "alice.smith") -> Refresh:
    says = verdict(principal(name, "subject of alice"), begin=ledger.now)
    return Refresh(grant=grant_id(1), verdict=says, draw=0.5)


def ended(ledger: Ledger) -> list[tuple[str, int, str]]:
    return [(kind, handle, reason) for kind, handle, reason in ledger.told if reason]


@pytest.mark.parametrize("piece", [3, 512])
def test_a_refresh_that_brings_another_name_ends_who_came_under_the_first(
    ledger: Ledger, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "PIECE", piece)
    ledger.ask(renamed(ledger))
    assert sorted(ended(ledger)) == [(ENDED[0], handle, ENDED[1]) for handle in (1, 2, 3)]
    assert len(ledger.pushed) == 3
    assert ledger.alive == set()


def test_the_same_name_spelled_otherwise_is_no_other(ledger: Ledger) -> None:
    ledger.ask(renamed(ledger, "Alice"))
    assert ended(ledger) == []
    assert ledger.alive == {1, 2, 3}


def test_who_came_under_the_new_name_goes_on(ledger: Ledger) -> None:
    says = renamed(ledger).verdict
    ledger.ask(login(4, presented("new", "refresh", says=says)))
    ledger.ask(renamed(ledger))
    assert ledger.alive == {4}


def test_the_grant_stays_so_that_its_first_refresh_token_is_never_sent_again(
    ledger: Ledger,
) -> None:
    ledger.ask(BeginRefresh(grant=grant_id(1)))
    rotated = Secret("rotated")
    ledger.ask(Rotate(grant=grant_id(1), refresh=token_hash("rotated"), refresh_token=rotated))
    ledger.ask(renamed(ledger))
    assert ledger.grant(1).proven
    ledger.ask(login(4, presented("new", "refresh", says=renamed(ledger).verdict)))
    assert ledger.session(4).grant == grant_id(1)


def test_so_does_asking_again(ledger: Ledger) -> None:
    says = verdict(principal("alice.smith", "subject of alice"))
    ledger.ask(Recheck(grant=grant_id(3), verdict=says))
    assert ended(ledger) == [(ENDED[0], 3, ENDED[1])]
    assert ledger.alive == {1, 2}
