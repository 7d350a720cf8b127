"""Whatever is wrong with an issuer, a login is `unavailable`, and what is live goes on.

docs/issuer-faults.md has these outcomes as a table; test_refresh_faults.py is about refreshes.
"""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sessiond.testing import FakeProcess
from sessiond.testing.faults import Fault
from tests.integration.conftest import Start
from tests.integration.faulty_issuer import Certificate, FaultyIssuer, Gone, Wrong
from tests.integration.faulty_stage import Stage, staged
from tests.issuer.running import ALICE, BOB, RunningIssuer
from tests.running_daemon import configuration

pytestmark = pytest.mark.chaos

MANY = b'{"keys": [' + b" " * 5_000_000 + b"]}"
FAULTS: dict[str, Wrong] = {
    "hang": Fault(hang=True),
    "trickle": Fault(endless=True),
    "drop": Fault(drop=True),
    "stranger": Certificate.STRANGER,
    "expired": Certificate.EXPIRED,
    "othername": Certificate.OTHER_NAME,
    "500": Fault(status=500),
    "503": Fault(status=503),
    "302": Fault(status=302, headers={"Location": "elsewhere"}),
    "html": Fault(
        body=b"<!doctype html><title>Sign in</title>", headers={"Content-Type": "text/html"}
    ),
    "empty": Fault(body=b""),
    "5MB": Fault(body=MANY),
}
THROTTLES: dict[str, Wrong] = {
    "429": Fault(status=429),  # which counts as 5 seconds
    "429after": Fault(status=429, retry_after=5),
    "503after": Fault(status=503, retry_after=5),
}
GONE: dict[str, Wrong] = {"refused": Gone.REFUSED, "noname": Gone.NO_NAME}
ENDPOINTS = {"jwt": "keys", "introspection": "introspection", "userinfo": "userinfo"}
ASKED = ["introspection", "userinfo"]
HEALTHY = Fault()  # of an issuer whose fault never strikes
ALIEN = Fault(body=b'{"issuer": "https://other.example.test/"}')
MINUTES = {f"{number:+d}": 60.0 * number for number in (-5, 5)}


def each_issuer() -> Iterator[FaultyIssuer]:
    for way, endpoint in ENDPOINTS.items():
        for name, fault in {**FAULTS, **THROTTLES, **GONE}.items():
            yield FaultyIssuer(f"{name}.{way}", endpoint=endpoint, wrong=fault)
        yield FaultyIssuer(f"metadata.{way}", endpoint="discovery", wrong=ALIEN)
        yield FaultyIssuer(f"well.{way}", endpoint=endpoint, wrong=HEALTHY, times=0)


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
        issuer.mend()
        assert stage.connect(issuer, presented(issuer)) == "unavailable"  # well, but not asked
    for issuer in issuers:
        while (reason := stage.connect(issuer, presented(issuer))) == "unavailable":
            pass  # until the trial's answer is back; the test's timeout ends this
        assert reason == ""


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_key_set_stops_new_keys_and_nothing_else(stage: Stage, fault: str) -> None:
    issuer = stage.issuers[f"{fault}.jwt"]
    assert stage.connect(issuer, issuer.jwt()) == "unavailable"
    issuer.mend()
    session = stage.log_in(issuer, issuer.jwt())["session"]
    issuer.strike()
    earlier = issuer.jwt()
    issuer.rotate_keys(withdraw=False)
    for _ in range(2):  # nor is it `badsignature` while the keys are not fetched again
        assert stage.connect(issuer, issuer.jwt()) == "unavailable"
    assert stage.connect(issuer, earlier) == ""
    assert stage.is_live(session)


@pytest.mark.parametrize("way", ASKED)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_answer_about_a_token_is_no_verdict_and_the_next_login_asks_again(
    stage: Stage, fault: str, way: str
) -> None:
    issuer = stage.issuers[f"{fault}.{way}"]
    known, unknown = issuer.opaque(), issuer.opaque()
    assert stage.connect(issuer, known) == "unavailable"
    issuer.mend()
    session = stage.log_in(issuer, known)["session"]
    issuer.strike()
    assert stage.connect(issuer, unknown) == "unavailable"
    assert stage.connect(issuer, known) == ""  # its verdict is kept
    assert stage.is_live(session)
    issuer.mend()
    assert stage.connect(issuer, unknown) == ""


@pytest.mark.parametrize("way", ASKED)
@pytest.mark.parametrize("fault", ["stranger", "expired", "othername"])
def test_a_server_with_a_wrong_certificate_is_sent_nothing(
    stage: Stage, fault: str, way: str
) -> None:
    issuer = stage.issuers[f"{fault}.{way}"]
    issuer.strike()
    asked = issuer.calls(ENDPOINTS[way])
    assert stage.connect(issuer, presented(issuer)) == "unavailable"
    assert issuer.calls(ENDPOINTS[way]) == asked


@pytest.mark.parametrize("way", ENDPOINTS)
def test_no_redirect_is_followed(stage: Stage, way: str) -> None:
    issuer = stage.issuers[f"302.{way}"]
    issuer.strike()
    issuer.rotate_keys(withdraw=False)
    assert stage.connect(issuer, presented(issuer)) == "unavailable"
    assert issuer.calls("/elsewhere") == 0


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
    issuer.mend()
    assert stage.connect(issuer, presented(issuer)) == ""


def test_a_key_set_of_20_kb_is_read(stage: Stage) -> None:
    issuer = stage.issuers["well.jwt"]
    padding = [{"kty": "RSA", "use": "enc", "kid": f"e{n}", "n": "A" * 340} for n in range(60)]
    issuer.rotate_keys(withdraw=False)  # so that the set is fetched
    published = json.dumps({"keys": [*issuer.keys()["keys"], *padding]}).encode()
    assert len(published) > 20_000
    issuer.fail("keys", body=published, times=1)
    assert stage.connect(issuer, issuer.jwt()) == ""


@pytest.mark.parametrize(
    ("minutes", "lifetime", "reason"),
    [("+5", 60, "notyet"), ("-5", 60, ""), ("-5", 5, "expired"), ("-5", 4, "expired")],
)
@pytest.mark.parametrize("way", ENDPOINTS)
def test_five_minutes_of_clock_skew_are_too_many_for_the_begin_and_never_excused_for_the_end(
    stage: Stage,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    minutes: str,
    lifetime: int,
    reason: str,
) -> None:
    issuer = stage.issuers[f"well.{way}"]
    monkeypatch.setattr(issuer, "skew", MINUTES[minutes])
    # userinfo answers without dates, so those of a JWT-shaped token count
    make = issuer.opaque if way == "introspection" else issuer.jwt
    assert stage.connect(issuer, make(lifetime=60.0 * lifetime)) == reason


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
