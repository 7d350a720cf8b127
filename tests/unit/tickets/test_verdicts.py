"""What was found about a token goes with the ticket that it was exchanged for, and nowhere else."""

import base64
from dataclasses import fields, replace
from datetime import timedelta
from uuid import UUID

import pytest

from sessiond.core.secret import Secret
from sessiond.core.ticket import TicketId
from sessiond.core.verdict import Verdict
from sessiond.store.sealing import KeyRing
from sessiond.tickets import verdicts
from sessiond.tickets.settings import TicketSettings
from tests.fakes import START, lease, presented, principal
from tests.unit.tickets.making import INSTANCE, JTI, RING, SETTINGS

VERDICT = Verdict(
    principal=principal("alice"),
    lease=lease(),
    roles=("reader", "trading"),
    reasons={"reader": ("default",), "trading": ("claim roles: trader", "role source x")},
    attributes={"desk": "rates"},
    stated_iat=START,
    key_id="key 1",
    states_end=False,
    generation=1,
    auth_time=START - timedelta(minutes=5),
    acr=("phr",),
    overage=True,
)
TOKENS = presented("access", says=VERDICT)


def sealed() -> str:
    return verdicts.sealed(TOKENS, JTI, SETTINGS, RING, instance=INSTANCE)


def generation(text: str, settings: TicketSettings, instance: UUID) -> int:
    opened = verdicts.opened(text, JTI, settings, RING, instance=instance)
    assert opened is not None
    return opened.verdict.generation


def test_what_was_sealed_is_opened_whole() -> None:
    assert verdicts.opened(sealed(), JTI, SETTINGS, RING, instance=INSTANCE) == TOKENS


def test_nothing_that_a_verdict_has_is_forgotten() -> None:
    """A member that is added to it is to be sealed, too; what is only for a log need not."""
    plain = Verdict(principal=VERDICT.principal, lease=VERDICT.lease)
    same = {
        each.name
        for each in fields(Verdict)
        if getattr(plain, each.name) == getattr(VERDICT, each.name)
    }
    assert same == {"principal", "lease", "claims_hold"}


def test_it_says_nothing_to_whoever_has_no_key() -> None:
    assert "alice" not in sealed()
    assert sealed() != sealed()


@pytest.mark.parametrize("at", [0, 10, -1])
def test_what_was_changed_does_not_open(at: int) -> None:
    text = [*sealed()]
    text[at] = "A" if text[at] != "A" else "B"
    assert verdicts.opened("".join(text), JTI, SETTINGS, RING, instance=INSTANCE) is None


@pytest.mark.parametrize("text", ["", "x", "not base64!", "AAAA"])
def test_what_is_none_does_not_open(text: str) -> None:
    assert verdicts.opened(text, JTI, SETTINGS, RING, instance=INSTANCE) is None


@pytest.mark.parametrize("plain", ["[1]", "{}", "no JSON"])
def test_what_another_version_has_sealed_does_not_open(plain: str) -> None:
    place = {"table": "tickets", "column": "verdict", "row": str(JTI)}
    octets = RING.seal(Secret(plain), **place, issuer="", subject="")
    text = base64.urlsafe_b64encode(octets).decode()
    assert verdicts.opened(text, JTI, SETTINGS, RING, instance=INSTANCE) is None


def test_it_opens_for_its_own_ticket_and_by_its_own_key_alone() -> None:
    other = TicketId(UUID(int=78))
    assert verdicts.opened(sealed(), other, SETTINGS, RING, instance=INSTANCE) is None
    ring = KeyRing({1: b"l" * 32})
    assert verdicts.opened(sealed(), JTI, SETTINGS, ring, instance=INSTANCE) is None


def test_a_reload_between_counts_as_it_does_at_a_login() -> None:
    now = replace(SETTINGS, generations={"corp": 2}, issuers={"corp": "another"})
    assert generation(sealed(), now, INSTANCE) == 1  # which the table holds against 2


def test_after_a_restart_it_counts_where_the_issuers_table_is_the_same() -> None:
    later = UUID(int=4243)
    assert generation(sealed(), replace(SETTINGS, generations={"corp": 7}), later) == 7
    changed = replace(SETTINGS, generations={"corp": 1}, issuers={"corp": "another"})
    assert generation(sealed(), changed, later) == -1
    assert generation(sealed(), replace(SETTINGS, generations={}, issuers={}), later) == -1
