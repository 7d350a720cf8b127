"""Whatever is wrong with a refresh: no answer costs a live session nothing, a verdict ends it.

docs/issuer-faults.md has these outcomes as a table. All users log in at once, so that the tests
wait for the same few seconds.
"""

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sessiond.testing import FakeProcess
from tests.integration.conftest import Start
from tests.integration.faulty_issuer import (
    ALWAYS,
    HOUR,
    Answer,
    Certificate,
    Fault,
    FaultyIssuer,
    Gone,
)
from tests.integration.faulty_stage import Stage, staged
from tests.integration.test_issuer_faults import ALIEN, FAULTS, HEALTHY, THROTTLES
from tests.integration.test_login import pair
from tests.issuer.running import ALICE, RunningIssuer
from tests.running_daemon import configuration

pytestmark = pytest.mark.chaos

FIVE_MINUTES = timedelta(minutes=5)
SHORT, LONG = timedelta(seconds=8), timedelta(seconds=50)  # refreshed after 0.02 of it


def error(status: int, code: str) -> Answer:
    return Answer(status, json.dumps({"error": code}).encode())


# Each strikes one refresh; the next one is answered.
TRANSIENT: dict[str, Fault] = {
    **FAULTS,
    **THROTTLES,
    "notokens": Answer(200, b"{}"),
    "error200": error(200, "invalid_grant"),  # RFC 6749, 5.2: an error's status is 400 or 401
    "ourfault": error(401, "invalid_client"),
    "busy": error(400, "temporarily_unavailable"),
    "alien": ALIEN,
}
FINAL: dict[str, Fault] = {
    "refused": error(400, "invalid_grant"),
    "interaction": error(400, "interaction_required"),
}
LASTING: dict[str, Fault] = {"gone": Gone.REFUSED, "noname": Gone.NO_NAME, "down": Answer(503)}


@dataclass(frozen=True, slots=True)
class Brought:
    """What a refresh brings, and what comes of it."""

    answers: dict[str, object] = field(default_factory=dict)  # changed members; None = left out
    token: dict[str, Any] = field(default_factory=dict)  # how it is made
    event: str = "refreshed"
    reason: str = ""
    span: timedelta = HOUR  # that the session then has


BROUGHT = {
    "nospan": Brought({"expires_in": None}),
    "spantext": Brought({"expires_in": "1800"}, span=HOUR / 2),
    "spanwords": Brought({"expires_in": "soon"}),
    "norefresh": Brought({"refresh_token": None}),
    "otheruser": Brought({}, {"subject": "somebody-else"}, "revoked", "usermismatch"),
    "ahead": Brought({}, {"skew": FIVE_MINUTES}, "expired", "expired"),  # tried again until then
    "behind": Brought(
        {"expires_in": 36000},
        {"skew": -FIVE_MINUTES, "lifetime": 10 * HOUR},
        span=10 * HOUR - FIVE_MINUTES,
    ),
    "past": Brought({}, {"skew": -FIVE_MINUTES, "lifetime": FIVE_MINUTES}, "revoked", "expired"),
}
WAYS = ["refresh", "entra"]
# MSAL answers an identical request from memory for 60 s after a 400, whatever the 400 said.
TRIED_AGAIN = [(fault, way) for fault in TRANSIENT for way in WAYS if fault + way != "busyentra"]


def each_issuer() -> Iterator[FaultyIssuer]:
    for way in WAYS:
        for faults, times in ((TRANSIENT, 1), (FINAL, 1), (LASTING, ALWAYS)):
            for name, fault in faults.items():
                struck = "metadata" if fault is ALIEN else "token"
                yield FaultyIssuer(f"{name}.{way}", endpoint=struck, fault=fault, times=times)
        for name, brought in BROUGHT.items():
            issuer = FaultyIssuer(f"{name}.{way}", endpoint="token", fault=HEALTHY, times=0)
            issuer.answers, issuer.refreshed = brought.answers, brought.token
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
    assert issuer.calls("elsewhere") == 0  # where the redirect leads


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
        longer = timedelta(microseconds=(told["expires"] - answer["expires"]) / 1000)
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
