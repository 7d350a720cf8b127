"""What goes wrong when a person signs in: a sentence that says what to do, and an exit code."""

import json
import re
import socket
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.integration.terminal import OnTerminal
from tests.issuer.running import ALICE, RunningIssuer
from tests.people.forms import sign_in_at_provider
from tests.people.machine import PROGRAM, Machine, Running, given
from tests.people.person import Person

pytestmark = [pytest.mark.needs("browser"), pytest.mark.needs("real")]
SIGNED_IN = "You are signed in"
# A clock that the person does not wait for.
HURRYING = """
import time
from sessiond_login.clock import SystemClock
began = time.monotonic()
SystemClock.monotonic = lambda self: began + (time.monotonic() - began) * 500
SystemClock.sleep = lambda self, seconds: time.sleep(seconds / 500)
"""


def profile(issuer: str, **keys: object) -> str:
    """Return a table for an issuer on this machine."""
    members = {"issuer": issuer, "client_id": "desk", "insecure_http": True, **keys}
    return "[profile.corp]\n" + "".join(
        f"{name} = {json.dumps(value)}\n" for name, value in members.items()
    )


@pytest.fixture
def known(strict_issuer: RunningIssuer, machine: Machine) -> Machine:
    """A machine that has a profile of the issuer."""
    machine.has_profiles(profile(strict_issuer.issuer))
    return machine


def says(ended: tuple[int, str, str], code: int, *words: str) -> None:
    """Hold that the program has ended so, and that what it told has these words."""
    seen, out, err = ended
    assert (seen, out) == (code, ""), err
    assert all(word in err for word in words), err


# Where nobody can be asked, and what is asked for makes no sense


def test_without_display_and_terminal_nobody_can_be_asked(known: Machine) -> None:
    del known.environment["BROWSER"]
    says(known.run("token"), 77, "no display and no terminal", "sessiond-login")


def test_a_token_is_not_printed_on_a_terminal(known: Machine) -> None:
    with OnTerminal("env", "-i", *known.variables, PROGRAM, "token") as program:
        assert program.code() == 64
        assert "pipe it into what uses it, or say --show" in " ".join(program.plain.split())


@pytest.mark.parametrize(
    ("text", "arguments", "words"),
    [
        ("", (), "sessiond-login profiles add"),
        ("[profile.corp]\nissuer = ", (), "login.toml"),
        (profile("https://x.example", sendd="pair"), (), "sendd"),
        (profile("https://x.example", send="both"), (), "send"),
        (profile("https://x.example"), ("--profile", "prod"), "corp"),
        (profile("http://x.example"), (), "insecure_http"),
    ],
    ids=["none", "no TOML", "unknown key", "wrong value", "another name", "http"],
)
def test_a_wrong_profile_is_said(
    machine: Machine, text: str, arguments: tuple[str, ...], words: str
) -> None:
    machine.has_profiles(text)
    says(machine.run("token", *arguments), 78, words)


# At the issuer


def test_an_issuer_that_is_down_is_said(machine: Machine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    machine.has_profiles(profile(f"http://localhost:{port}/contoso/v2.0"))
    says(machine.run("token"), 69, "localhost cannot be reached")


def test_a_client_that_the_issuer_does_not_know_is_said(known: Machine) -> None:
    known.has_profiles(known.profiles.read_text().replace("desk", "nobodys"))
    says(known.run("token", "--device"), 78, "client_id")


def test_what_the_issuer_does_not_offer_is_said_in_the_browser_too(
    known: Machine, person: Person
) -> None:
    known.has_profiles(known.profiles.read_text() + 'resource = "api://nobodys"\n')
    with known.start("token") as program:
        person.sees().wait_until_reads("Not signed in")
        says(program.end(), 78, "resource")


def test_a_person_who_says_no_is_not_signed_in(known: Machine, person: Person) -> None:
    with known.start("token") as program:
        tab = person.sees()
        sign_in_at_provider(tab, agrees=False)
        tab.wait_until_reads("Not signed in")
        says(program.end(), 77, "access_denied", "sign in again")


def test_a_person_who_closes_the_browser_is_waited_for_and_no_longer(
    known: Machine, person: Person
) -> None:
    known.with_fault(HURRYING)
    with known.start("token") as program:
        person.sees().close()
        says(program.end(), 77, "nobody signed in within 180 s")


def code_page(program: Running) -> str:
    """Return the page of a device code, with the code in it."""
    while (found := re.search(r"https?://\S+user_code=[\w-]+", program.line())) is None:
        pass
    return found[0]


def test_a_device_code_that_is_denied_signs_nobody_in(
    known: Machine, strict_issuer: RunningIssuer
) -> None:
    known.with_fault(HURRYING)
    with known.start("token", "--device") as program:
        strict_issuer.enter_device_code(code_page(program), agrees=False)
        says(program.end(), 77, "access_denied")


def test_a_device_code_that_nobody_enters_signs_nobody_in(known: Machine) -> None:
    known.with_fault(HURRYING)
    says(known.run("token", "--device"), 77, "the code was not entered in time")


# Keeping


def test_without_a_keyring_tokens_are_in_a_file_of_the_persons_own_and_that_is_said_once(
    known: Machine, person: Person
) -> None:
    told: list[bool] = []
    for _ in range(2):
        with known.start("--again") as program:
            tab = person.sees()
            if not told:
                sign_in_at_provider(tab)
            tab.wait_until_reads(SIGNED_IN)
            code, _, err = program.end()
            assert code == 0, err
            told.append("keyring" in err)
    assert told == [True, False]
    (file,) = known.kept.glob("tokens-*.json")
    assert file.stat().st_mode & 0o777 == 0o600


def test_at_a_home_that_is_read_only_the_person_is_in_and_told_that_nothing_is_kept(
    known: Machine, person: Person
) -> None:
    known.is_read_only()
    with known.start("token", "--json") as program:
        sign_in_at_provider(person.sees())
        code, out, err = program.end()
    assert given(code, out, err)["user"] == ALICE
    assert f"cannot keep tokens in {known.kept}" in err
    assert "The next call signs in again" in err


def test_a_password_that_a_client_cannot_send_is_said_with_its_limit(
    known: Machine, person: Person, strict_issuer: RunningIssuer
) -> None:
    roles = [f"role-{number:04}-of-the-trading-floor" for number in range(100)]
    strict_issuer.control.change_user(ALICE, roles=roles)
    with known.start() as program:
        sign_in_at_provider(person.sees())
        assert program.end()[0] == 0
    assert "VS Code takes 2,048" in known.run("status")[1]


# Two at once, and others on the machine


def test_of_two_at_once_the_second_takes_what_the_first_got(
    known: Machine, person: Person, strict_issuer: RunningIssuer
) -> None:
    with known.start("token", "--json") as first, known.start("token", "--json") as second:
        tab = person.sees()
        sign_in_at_provider(tab)
        tab.wait_until_reads(SIGNED_IN)
        assert given(*first.end()) == given(*second.end())
    assert not person.is_shown(within=0.0)
    asked = [each for each in strict_issuer.control.take_log() if each.endswith("/authorize")]
    assert len(asked) == 1


Forge = Callable[[str, dict[str, str]], dict[str, str]]


def back(asked: str, **answer: str) -> httpx.Response:
    """Send an answer to where the browser is to come back to."""
    (uri,) = parse_qs(urlsplit(asked).query)["redirect_uri"]
    return httpx.get(uri, params=answer, follow_redirects=True, trust_env=False)


def state_of(asked: str) -> str:
    (state,) = parse_qs(urlsplit(asked).query)["state"]
    return state


def test_an_answer_with_a_wrong_state_does_not_end_the_real_one(
    known: Machine, person: Person, strict_issuer: RunningIssuer
) -> None:
    with known.start("token", "--json") as program:
        tab = person.sees()
        for forged in ({"code": "forged", "state": "guessed"}, {"error": "access_denied"}, {}):
            answer = back(tab.asked, iss=strict_issuer.issuer, **forged)
            assert answer.status_code == 400
            assert "Nothing has changed by it" in answer.text
        sign_in_at_provider(tab)
        assert given(*program.end())["user"] == ALICE


@pytest.mark.parametrize("whose", ["the issuer's", "another's", "nobody's"])
def test_who_knows_the_state_and_answers_first_signs_nobody_in(
    known: Machine, person: Person, strict_issuer: RunningIssuer, whose: str
) -> None:
    names = {"the issuer's": strict_issuer.issuer, "another's": "https://mallory.example"}
    iss = {"iss": names[whose]} if whose in names else {}
    with known.start("token") as program:
        asked = person.sees().asked
        answer = back(asked, code="forged", state=state_of(asked), **iss)
        assert "Not signed in" in answer.text
        says(program.end(), 77, "sign in again")


# An end without warning


def test_a_sign_in_that_is_killed_leaves_no_lock_and_no_half_record(
    known: Machine, person: Person
) -> None:
    with known.start("token") as program:
        person.sees()
        program.kill()
    assert list(known.kept.rglob("tokens-*")) == []
    code, out, _ = known.run("status")
    assert code == 0
    assert re.search(r"signed in\W+no\b", out)
    with known.start("token", "--json") as program:
        sign_in_at_provider(person.sees())
        assert given(*program.end())["user"] == ALICE
