"""A plugin that was written for the names of before."""

import pytest
from structlog.testing import capture_logs

from sessiond.core.secret import Secret
from sessiond.core.verdict import Verdict
from sessiond.extensions.former_names import FORMER, under_present_names
from tests.fakes import START, verdict
from tests.unit.gate.fakes import ScriptedVerifier

pytestmark = pytest.mark.anyio


class Former:
    """A verifier under its former names, with a member of its own."""

    asks = True

    def needs_issuer(self, token: Secret) -> bool:
        return token.reveal() == "token"

    async def verify(self, token: Secret, **_: object) -> Verdict:
        return verdict()

    def vouches(self, earlier: Verdict) -> bool:
        return earlier == verdict()

    async def stop(self) -> None:
        self.stopped = True


async def test_a_verifier_under_its_former_names_is_taken_with_a_warning() -> None:
    former = Former()
    with capture_logs() as logs:
        verifier = under_present_names(former, plugin="acme")
    assert verifier.is_online
    assert verifier.needs_call(Secret("token"))
    assert not verifier.needs_call(Secret("another"))
    assert await verifier.verify(Secret("token"), now=START) == verdict()
    assert verifier.still_valid(verdict())
    await verifier.stop()
    assert former.stopped
    (warned,) = logs
    assert (warned["log_level"], warned["plugin"]) == ("warning", "acme")
    assert warned["former"] == "asks, needs_issuer, vouches"


def test_what_is_missing_is_still_missing() -> None:
    verifier = under_present_names(Former(), plugin="acme")
    assert not hasattr(verifier, "probe")


def test_a_verifier_of_today_is_left_alone() -> None:
    verifier = ScriptedVerifier()
    with capture_logs() as logs:
        assert under_present_names(verifier, plugin="acme") is verifier
        assert under_present_names(nothing := object(), plugin="acme") is nothing
    assert not logs
    assert all(hasattr(verifier, name) for name in FORMER)
