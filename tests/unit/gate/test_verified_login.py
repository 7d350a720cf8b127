"""What a verdict comes to for one login."""

from datetime import timedelta

import pytest

from sessiond.core.errors import TokenRejected
from sessiond.core.password import read_password
from sessiond.gate import Issued, PresentedLogin
from sessiond.gate.verified_login import judged, judged_late
from tests.fakes import START, FakeClock, principal, verdict
from tests.unit.gate.fakes import ScriptedVerifier, gate_issuer, opaque

PRESENTED = read_password(opaque())
ALICE = PresentedLogin("alice", PRESENTED)


@pytest.mark.parametrize(
    ("typed", "verified", "users", "reason"),
    [
        ("alice", "alice", (), ""),
        (None, "alice", ("a*",), ""),
        (None, "\u0130", (), "usermismatch"),
        (None, "bob@partner", ("*@corp",), "wrongissuer"),
        ("ALICE", "alice", ("a*",), ""),
        ("alice", "alicf", (), "usermismatch"),
        ("i", "\u0130", (), "usermismatch"),
        ("bob@partner", "bob@partner", ("*@corp",), "wrongissuer"),
    ],
)
def test_the_token_must_be_the_typed_user_s_who_may_come_from_there(
    typed: str | None, verified: str, users: tuple[str, ...], reason: str
) -> None:
    issuer = gate_issuer(ScriptedVerifier(), FakeClock(), users=users)
    said = verdict(principal(verified))
    if reason:
        with pytest.raises(TokenRejected) as rejected:
            judged(said, issuer, PresentedLogin(typed, PRESENTED))
        assert rejected.value.reason.value == reason
    else:
        verified_login = judged(said, issuer, PresentedLogin(typed, PRESENTED))
        assert (verified_login.verdict, verified_login.client) == (said, "qstudio")


def test_one_that_was_waited_for_must_last_still() -> None:
    issuer, said = (
        gate_issuer(ScriptedVerifier(), FakeClock()),
        verdict(length=timedelta(seconds=10)),
    )
    end = START + timedelta(seconds=10)
    judged_late(said, issuer, ALICE, now=end - timedelta(milliseconds=1))
    with pytest.raises(TokenRejected, match="ran out"):
        judged_late(said, issuer, ALICE, now=end)


def test_what_an_issuer_gave_us_belongs_to_the_client_that_it_was_given_to() -> None:
    issuer = gate_issuer(ScriptedVerifier(), FakeClock())
    issued = Issued(issuer="corp", client="kdb-web")
    verified_login = judged(verdict(), issuer, PresentedLogin(None, PRESENTED, issued))
    assert verified_login.client == "kdb-web"
