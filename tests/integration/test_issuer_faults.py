"""Whatever is wrong with an issuer, a login is `unavailable`, and what is live goes on.

docs/issuer-faults.md has these outcomes as a table; test_refresh_faults.py is about refreshes.
"""

import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from sessiond.testing import FakeProcess
from tests.integration.conftest import Start
from tests.integration.faulty_issuer import Answer, Certificate, Fault, FaultyIssuer, Gone, Stuck
from tests.integration.faulty_stage import Stage, staged
from tests.issuer.running import ALICE, BOB, RunningIssuer
from tests.running_daemon import configuration

pytestmark = pytest.mark.chaos

MANY = b'{"keys": [' + b" " * 5_000_000 + b"]}"
FAULTS: dict[str, Fault] = {
    "hang": Stuck.HANG,
    "trickle": Stuck.TRICKLE,
    "drop": Stuck.DROP,
    "stranger": Certificate.STRANGER,
    "expired": Certificate.EXPIRED,
    "othername": Certificate.OTHER_NAME,
    "500": Answer(500),
    "503": Answer(503),
    "302": Answer(302, headers={"location": "elsewhere"}),
    "html": Answer(200, b"<!doctype html><title>Sign in</title>", {"content-type": "text/html"}),
    "empty": Answer(200, b""),
    "5MB": Answer(200, MANY),
}
THROTTLES: dict[str, Fault] = {
    "429": Answer(429),  # which counts as 5 seconds
    "429after": Answer(429, headers={"retry-after": "5"}),
    "503after": Answer(503, headers={"retry-after": "5"}),
}
GONE: dict[str, Fault] = {"refused": Gone.REFUSED, "noname": Gone.NO_NAME}
ENDPOINTS = {"jwt": "keys", "introspection": "introspect", "userinfo": "userinfo"}
ASKED = ["introspection", "userinfo"]
HEALTHY = Answer(200)  # of an issuer whose fault never strikes
ALIEN = Answer(200, b'{"issuer": "https://other.example.test/"}')
MINUTES = {f"{number:+d}": timedelta(minutes=number) for number in (-5, 5)}


def each_issuer() -> Iterator[FaultyIssuer]:
    for way, endpoint in ENDPOINTS.items():
        for name, fault in {**FAULTS, **THROTTLES, **GONE}.items():
            yield FaultyIssuer(f"{name}.{way}", endpoint=endpoint, fault=fault)
        yield FaultyIssuer(f"metadata.{way}", endpoint="metadata", fault=ALIEN)
        yield FaultyIssuer(f"well.{way}", endpoint=endpoint, fault=HEALTHY, times=0)


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with tempfile.TemporaryDirectory(prefix="sd-") as name, staged(each_issuer(), Path(name)) as it:
        yield it


def presented(issuer: FaultyIssuer) -> str:
    """Return a new access token of the kind that the daemon takes from this issuer."""
    return issuer.jwt() if issuer.name.endswith(".jwt") else issuer.opaque()


def test_an_issuer_that_throttles_is_left_alone_and_a_trial_call_finds_it_well(
    stage: Stage,
) -> None:
    issuers = [stage.issuers[f"{name}.{way}"] for name in THROTTLES for way in ENDPOINTS]
    for issuer in issuers:
        assert stage.connect(issuer, presented(issuer)) == "unavailable"
        issuer.heal()
        assert stage.connect(issuer, presented(issuer)) == "unavailable"  # well, but not asked
    for issuer in issuers:
        while (reason := stage.connect(issuer, presented(issuer))) == "unavailable":
            pass  # until the trial's answer is back; the test's timeout ends this
        assert reason == ""


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_key_set_stops_new_keys_and_nothing_else(stage: Stage, fault: str) -> None:
    issuer = stage.issuers[f"{fault}.jwt"]
    assert stage.connect(issuer, issuer.jwt()) == "unavailable"
    issuer.heal()
    session = stage.log_in(issuer, issuer.jwt())["session"]
    issuer.break_down()
    issuer.rotate()
    for _ in range(2):  # nor is it `badsignature` while the keys are not fetched again
        assert stage.connect(issuer, issuer.jwt()) == "unavailable"
    assert stage.connect(issuer, issuer.jwt(key=-1)) == ""
    assert stage.is_live(session)


@pytest.mark.parametrize("way", ASKED)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_answer_about_a_token_is_no_verdict_and_the_next_login_asks_again(
    stage: Stage, fault: str, way: str
) -> None:
    issuer = stage.issuers[f"{fault}.{way}"]
    known, unknown = issuer.opaque(), issuer.opaque()
    assert stage.connect(issuer, known) == "unavailable"
    issuer.heal()
    session = stage.log_in(issuer, known)["session"]
    issuer.break_down()
    assert stage.connect(issuer, unknown) == "unavailable"
    assert stage.connect(issuer, known) == ""  # its verdict is kept
    assert stage.is_live(session)
    issuer.heal()
    assert stage.connect(issuer, unknown) == ""


@pytest.mark.parametrize("way", ASKED)
@pytest.mark.parametrize("fault", ["stranger", "expired", "othername"])
def test_a_server_with_a_wrong_certificate_is_sent_nothing(
    stage: Stage, fault: str, way: str
) -> None:
    issuer = stage.issuers[f"{fault}.{way}"]
    issuer.break_down()
    asked = issuer.calls(ENDPOINTS[way])
    assert stage.connect(issuer, presented(issuer)) == "unavailable"
    assert issuer.calls(ENDPOINTS[way]) == asked


@pytest.mark.parametrize("way", ENDPOINTS)
def test_no_redirect_is_followed(stage: Stage, way: str) -> None:
    issuer = stage.issuers[f"302.{way}"]
    issuer.break_down()
    issuer.rotate()
    assert stage.connect(issuer, presented(issuer)) == "unavailable"
    assert issuer.calls("elsewhere") == 0


@pytest.mark.parametrize("way", ENDPOINTS)
@pytest.mark.parametrize("fault", GONE)
def test_an_issuer_that_cannot_be_reached_is_unavailable(
    stage: Stage, fault: str, way: str
) -> None:
    issuer = stage.issuers[f"{fault}.{way}"]
    assert stage.connect(issuer, presented(issuer)) == "unavailable"


@pytest.mark.parametrize("way", ENDPOINTS)
def test_metadata_of_another_issuer_is_not_believed_and_no_token_is_sent(
    stage: Stage, way: str
) -> None:
    issuer = stage.issuers[f"metadata.{way}"]
    assert stage.connect(issuer, presented(issuer)) == "unavailable"
    assert issuer.calls(ENDPOINTS[way]) == 0
    issuer.heal()
    assert stage.connect(issuer, presented(issuer)) == ""


def test_a_key_set_of_20_kb_is_read(stage: Stage) -> None:
    issuer = stage.issuers["well.jwt"]
    issuer.padding = [
        {"kty": "RSA", "use": "enc", "kid": f"e{n}", "n": "A" * 340} for n in range(60)
    ]
    assert len(issuer.answer("keys", bearer="", form={}).body) > 20_000
    issuer.rotate()  # so that the set is fetched
    assert stage.connect(issuer, issuer.jwt()) == ""


@pytest.mark.parametrize(
    ("minutes", "lifetime", "reason"),
    [("+5", 60, "notyet"), ("-5", 60, ""), ("-5", 5, "expired"), ("-5", 4, "expired")],
)
@pytest.mark.parametrize("way", ENDPOINTS)
def test_five_minutes_of_clock_skew_are_too_many_for_the_begin_and_never_excused_for_the_end(
    stage: Stage, way: str, minutes: str, lifetime: int, reason: str
) -> None:
    issuer = stage.issuers[f"well.{way}"]
    make = issuer.opaque if way == "introspection" else issuer.jwt
    token = make(skew=MINUTES[minutes], lifetime=timedelta(minutes=lifetime))
    if way == "userinfo":  # which answers without dates, so those of a JWT-shaped token count
        issuer.vouch_for(token)
    assert stage.connect(issuer, token) == reason


def test_a_withdrawn_key_ends_the_verdicts_it_has_signed_and_no_session(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    with FakeProcess(start(configuration(strict_issuer)).address) as q:
        q.hello()
        old = strict_issuer.tokens(ALICE)["access_token"]
        session = q.log_in(ALICE, old)["session"]
        assert q.connect(ALICE, old, 6)["ok"]
        strict_issuer.control.rotate_keys(drop_old=True)
        assert q.connect(ALICE, old, 7)["ok"]  # nobody has heard of it yet
        assert q.connect(BOB, strict_issuer.tokens(BOB)["access_token"], 8)["ok"]
        assert q.connect(ALICE, old, 9)["reason"] == "badsignature"
        assert session in {each["session"] for each in q.sessions()}
