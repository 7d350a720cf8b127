"""Whatever is wrong with a refresh: no answer costs a live session nothing, a verdict ends it.

docs/issuer-faults.md has these outcomes as a table. All users log in at once, so that the tests
wait for the same few seconds.
"""

import json
import tempfile
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sessiond.issuers.missed_keys import AT_ONCE
from sessiond.testing import FakeProcess
from sessiond.testing.faults import Fault
from tests.integration.conftest import Start
from tests.integration.faulty_issuer import HOUR, Certificate, FaultyIssuer, Gone, Wrong
from tests.integration.faulty_stage import Stage, staged
from tests.integration.test_issuer_faults import ALIEN, FAULTS, HEALTHY, THROTTLES
from tests.integration.test_login import pair
from tests.issuer.control import ALWAYS
from tests.issuer.running import ALICE, RunningIssuer
from tests.running_daemon import configuration

pytestmark = pytest.mark.chaos

FIVE_MINUTES = 300.0  # seconds
SHORT, LONG = 8.0, 50.0  # seconds; refreshed after 0.02 of it


# Each strikes one refresh; the next one is answered.
TRANSIENT: dict[str, Wrong] = {
    **FAULTS,
    **THROTTLES,
    "notokens": Fault(body=b"{}"),
    "error200": Fault(
        status=200, error="invalid_grant"
    ),  # RFC 6749, 5.2: an error's status is 400 or 401
    "ourfault": Fault(status=401, error="invalid_client"),
    "busy": Fault(status=400, error="temporarily_unavailable"),
    "resource": Fault(status=400, body=b'{"error":"invalid_resource","error_codes":[500011]}'),
    "guarded": Fault(status=403, error="access_denied"),  # by a gateway before the issuer
    "alien": ALIEN,
}
FINAL: dict[str, Wrong] = {
    "refused": Fault(status=400, error="invalid_grant"),
    "interaction": Fault(status=400, error="interaction_required"),
    "denied": Fault(status=400, error="access_denied"),
}
LASTING: dict[str, Wrong] = {
    "gone": Gone.REFUSED,
    "noname": Gone.NO_NAME,
    "down": Fault(status=503),
}


@dataclass(frozen=True, slots=True)
class Brought:
    """What a refresh brings, and what comes of it."""

    tokens: dict[str, Any] = field(default_factory=dict)  # as `FakeIssuer.bring` takes it
    event: str = "refreshed"
    reason: str = ""
    span: float = HOUR  # seconds that the session then has


BROUGHT = {
    "nospan": Brought({"answer": {"expires_in": None}}),
    "spantext": Brought({"answer": {"expires_in": "1800"}}, span=HOUR / 2),
    "spanwords": Brought({"answer": {"expires_in": "soon"}}),
    "norefresh": Brought({"answer": {"refresh_token": None}}),
    "emptyrefresh": Brought({"answer": {"refresh_token": ""}}),
    "otheruser": Brought({"sub": "somebody-else", "oid": "another"}, "revoked", "usermismatch"),
    "ahead": Brought({"skew": FIVE_MINUTES}, "expired", "expired"),  # tried again until then
    "behind": Brought(
        {"skew": -FIVE_MINUTES, "expires_in": 10 * HOUR}, span=10 * HOUR - FIVE_MINUTES
    ),
    "past": Brought({"skew": -FIVE_MINUTES, "expires_in": FIVE_MINUTES}, "revoked", "expired"),
}
WAYS = ["refresh", "entra"]
# MSAL answers an identical request from memory for 60 s after a 400, whatever the 400 said.
REMEMBERED_BY_MSAL = (("busy", "entra"), ("resource", "entra"))
TRIED_AGAIN = [
    (fault, way) for fault in TRANSIENT for way in WAYS if (fault, way) not in REMEMBERED_BY_MSAL
]


def each_issuer() -> Iterator[FaultyIssuer]:
    for way in WAYS:
        for faults, times in ((TRANSIENT, 1), (FINAL, 1), (LASTING, None)):
            for name, fault in faults.items():
                struck = "discovery" if fault is ALIEN else "token"
                yield FaultyIssuer(f"{name}.{way}", endpoint=struck, wrong=fault, times=times)
        for name, brought in BROUGHT.items():
            issuer = FaultyIssuer(f"{name}.{way}", endpoint="token", wrong=HEALTHY, times=0)
            issuer.bring(**{"expires_in": HOUR, **brought.tokens})
            yield issuer


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with tempfile.TemporaryDirectory(prefix="sd-") as name, staged(each_issuer(), Path(name)) as it:
        yield it


@pytest.fixture(scope="module")
def sessions(stage: Stage) -> dict[str, dict[str, Any]]:
    """The answers to everybody's login, by the issuer's name."""
    return {name: stage.log_in(each, password(each)) for name, each in stage.issuers.items()}


def password(issuer: FaultyIssuer) -> str:
    is_short = issuer.name.partition(".")[0] in {*LASTING, "ahead"}
    return issuer.pair(lifetime=SHORT if is_short else LONG)


@pytest.mark.parametrize(("fault", "way"), TRIED_AGAIN)
def test_a_refresh_without_an_answer_is_tried_again_and_costs_nothing_but_time(
    stage: Stage, sessions: dict[str, dict[str, Any]], fault: str, way: str
) -> None:
    issuer, answer = stage.issuers[f"{fault}.{way}"], sessions[f"{fault}.{way}"]
    told = stage.next_push(answer["session"])
    assert (told["event"], told["expires"] > answer["expires"]) == ("refreshed", True)
    (put_off,) = stage.logged("refresh put off", issuer)
    if fault in THROTTLES:
        assert put_off["seconds"] >= 5
    is_stranger = fault == "alien" or isinstance(TRANSIENT[fault], Certificate)
    assert issuer.calls("token") == (1 if is_stranger else 2)  # nothing is sent to a stranger
    assert issuer.calls("/elsewhere") == 0  # where the redirect leads


@pytest.mark.parametrize("way", WAYS)
def test_the_issuers_error_code_is_in_the_log(
    stage: Stage, sessions: dict[str, dict[str, Any]], way: str
) -> None:
    (put_off, *_) = stage.logged("refresh put off", stage.issuers[f"resource.{way}"])
    assert "invalid_resource (AADSTS500011)" in put_off["error"]
    (refused,) = stage.logged("refresh refused", stage.issuers[f"denied.{way}"])
    assert refused["error"] == "access_denied"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("fault", LASTING)
def test_an_issuer_that_stays_away_ends_a_session_only_with_its_lease(
    stage: Stage, sessions: dict[str, dict[str, Any]], fault: str, way: str
) -> None:
    issuer, session = stage.issuers[f"{fault}.{way}"], sessions[f"{fault}.{way}"]["session"]
    assert stage.next_push(session)["event"] == "expired"
    assert stage.logged("refresh put off", issuer)
    assert not stage.is_live(session)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("fault", FINAL)
def test_a_refused_refresh_token_ends_the_session_and_is_never_sent_again(
    stage: Stage, sessions: dict[str, dict[str, Any]], fault: str, way: str
) -> None:
    issuer, session = stage.issuers[f"{fault}.{way}"], sessions[f"{fault}.{way}"]["session"]
    told = stage.next_push(session)
    assert (told["event"], told["reason"]) == ("revoked", "refused")
    assert issuer.calls("token") == 1


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", BROUGHT)
def test_what_a_refresh_brings_is_judged_as_strictly_as_a_login(
    stage: Stage, sessions: dict[str, dict[str, Any]], name: str, way: str
) -> None:
    answer, brought = sessions[f"{name}.{way}"], BROUGHT[name]
    told = stage.next_push(answer["session"])
    assert (told["event"], told["reason"]) == (brought.event, brought.reason)
    assert stage.is_live(answer["session"]) == (brought.event == "refreshed")
    if brought.event == "refreshed":  # the earlier of `exp` and `expires_in` is the end
        longer = (told["expires"] - answer["expires"]) / 1e9
        assert abs(longer - brought.span) < FIVE_MINUTES


def test_a_refresh_signed_by_a_key_of_which_nobody_has_heard_has_the_keys_fetched(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    strict_issuer.control.set_access_token_lifetime(10)
    early = "share = 0.2\njitter = 0.0"
    with FakeProcess(start(configuration(strict_issuer, refresh=early)).address) as q:
        q.hello()
        session = q.log_in(ALICE, pair(strict_issuer.tokens()))["session"]
        strict_issuer.control.rotate_keys(drop_old=True)
        told = q.next_push()
        assert (told["event"], told["session"]) == ("refreshed", session)


def test_a_refresh_whose_key_cannot_be_fetched_is_tried_again_and_never_a_forgery(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    strict_issuer.control.set_access_token_lifetime(40)
    daemon = start(configuration(strict_issuer, refresh="share = 0.05\njitter = 0.0"))
    with FakeProcess(daemon.address) as q:
        q.hello()
        session = q.log_in(ALICE, pair(strict_issuer.tokens()))["session"]
        strict_issuer.control.rotate_keys(drop_old=True)
        strict_issuer.control.fault("/keys", status=503, count=ALWAYS)
        daemon.logged(2, event="refresh put off")
        assert session in {each["session"] for each in q.sessions()}
        assert q.pushes == []
        strict_issuer.control.clear_faults()


def test_two_key_changes_in_a_row_let_nobody_run_out_whatever_others_make_up(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    strict_issuer.control.set_access_token_lifetime(30)
    early = "share = 0.1\njitter = 0.0"
    with FakeProcess(start(configuration(strict_issuer, refresh=early)).address) as q:
        q.hello()
        tokens = strict_issuer.tokens()
        session = q.log_in(ALICE, pair(tokens))["session"]
        made_up = [with_kid(tokens["access_token"], f"made-up-{number}") for number in range(6)]
        reasons = [q.connect(ALICE, forged, 6)["reason"] for forged in made_up]
        assert reasons == ["badsignature"] * AT_ONCE + ["unavailable"] * (6 - AT_ONCE)
        for _ in range(2):
            strict_issuer.control.rotate_keys(drop_old=True)
            told = q.next_push()
            assert (told["event"], told["session"]) == ("refreshed", session)


def with_kid(token: str, kid: str) -> str:
    """Return the token as if another key had signed it."""
    _, payload, signature = token.split(".")
    header = json.dumps({"alg": "RS256", "typ": "at+jwt", "kid": kid}).encode()
    return f"{urlsafe_b64encode(header).decode().rstrip('=')}.{payload}.{signature}"
