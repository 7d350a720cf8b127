"""The whole program at npm's oidc-provider: a person enters codes, clients read pipes."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from login_program import PAGE, PROGRAM, Home
from ptys import OnTerminal
from walking import Walker

from tests import canary
from tests.issuer.control import ALWAYS
from tests.issuer.running import ALICE, RunningIssuer, usual_password


@pytest.fixture
def home(tmp_path: Path, strict_issuer: RunningIssuer) -> Iterator[Home]:
    """Alice's, with a profile of the strict issuer; no token leaves what only she can read."""
    home = Home(tmp_path)
    configure(home, strict_issuer)
    yield home
    for path in tmp_path.rglob("*"):
        if path.is_file() and (path.stat().st_mode & 0o077 or ".local" not in path.parts):
            assert not canary.found_in(path.read_bytes()), path


@pytest.fixture
def alice(home: Home) -> Iterator[Walker]:
    """She, before her browser."""
    home.open_browsers()
    with Walker(ALICE) as person:
        yield person


def configure(home: Home, issuer: RunningIssuer, name: str = "work", **members: object) -> None:
    usual: dict[str, object] = {
        "issuer": issuer.issuer,
        "client_id": "qstudio",
        "scopes": ["openid", "profile", "offline_access", "session.login"],
        "insecure_http": True,
    }
    home.profile(name, **(usual | members))


def signed_in(home: Home, person: Walker, *args: str) -> dict[str, str]:
    """Return what `token --json` prints once the person's browser was opened."""
    begun = home.begin("token", "--json", *args)
    page = home.pages.read_text().strip()
    person.walk(page)
    assert begun.end() == 0, begun.told
    members = known(begun.stdout, begun.told)
    assert not canary.found_in(page.encode())  # an argument of the browser's
    return members


def known(stdout: str, told: str) -> dict[str, str]:
    """Return the object, whose tokens are looked for everywhere else from now on."""
    members: dict[str, str] = json.loads(stdout)
    canary.remember(members["token"], "access_token")
    canary.remember(members["refresh"], "refresh_token")
    assert not canary.found_in(told.encode())
    return members


def token(home: Home, *args: str) -> dict[str, str]:
    done = home.run("token", "--json", *args)
    assert done.returncode == 0, done.stderr
    return known(done.stdout, done.stderr)


def expire(home: Home) -> None:
    """Have the access tokens that are kept expire now."""
    for path in home.folder.glob(".local/state/sessiond/tokens-*.json"):
        record = json.loads(path.read_text())
        path.write_text(json.dumps(record | {"expires": 0.0}))


def test_a_person_enters_a_code_and_clients_get_the_same_pair_until_it_expires(
    home: Home, strict_issuer: RunningIssuer
) -> None:
    begun = home.begin("token", "--json", "--device")
    strict_issuer.enter_device_code(begun.page())
    assert begun.end() == 0, begun.told
    first = known(begun.stdout, begun.told)
    assert first["user"] == ALICE
    assert first["password"] == f"{first['token']};{first['refresh']}"
    strict_issuer.control.reset()
    assert token(home) == first
    assert home.run("token").stdout == first["password"] + "\n"
    assert strict_issuer.control.take_log() == []


def test_ten_leases_of_a_pair_in_two_windows_spend_nothing_and_the_daemon_can_still_refresh(
    home: Home, alice: Walker, strict_issuer: RunningIssuer
) -> None:
    given = []
    for _ in range(5):
        strict_issuer.control.set_access_token_lifetime(600)
        given.append(signed_in(home, alice))
        assert token(home) == given[-1]  # the second window
        strict_issuer.control.set_access_token_lifetime(30)  # less than is given twice
        expire(home)
        given.append(signed_in(home, alice))
    assert len({each["refresh"] for each in given}) == 10
    for each in given:  # one that was spent here would be refused, and its grant ended
        assert strict_issuer.refresh(each["refresh"]).status_code == 200


def test_a_new_authorization_is_silent_while_the_browser_is_signed_in(
    home: Home, alice: Walker, strict_issuer: RunningIssuer
) -> None:
    scopes = ["openid", "profile", "session.login"]  # of a client as Keycloak has them
    configure(home, strict_issuer, "desk", client_id="desk", scopes=scopes)
    first = signed_in(home, alice, "--profile", "desk")
    assert alice.prompts() == ["login", "consent"]
    alice.forget_pages()
    expire(home)
    again = signed_in(home, alice, "--profile", "desk")
    assert alice.prompts() == []
    assert again["refresh"] not in ("", first["refresh"])


def test_who_sends_access_tokens_alone_refreshes_and_is_not_asked_again(
    home: Home, alice: Walker, strict_issuer: RunningIssuer
) -> None:
    configure(home, strict_issuer, "short", send="access")
    strict_issuer.control.set_access_token_lifetime(30)
    first = signed_in(home, alice, "--profile", "short")
    assert first["password"] == first["token"]
    assert first["refresh"] == ""
    passwords = {token(home, "--profile", "short")["password"] for _ in range(3)}
    assert len(passwords | {first["password"]}) == 4


def test_no_program_that_is_started_sees_a_token(home: Home, alice: Walker) -> None:
    signed_in(home, alice)
    expire(home)
    signed_in(home, alice)
    seen = (home.folder / "environment").read_bytes()
    assert b"HOME=" in seen
    assert not canary.found_in(seen)


def test_on_a_terminal_without_a_display_a_code_is_shown(
    home: Home, strict_issuer: RunningIssuer
) -> None:
    with OnTerminal(PROGRAM, environment=home.environment) as program:
        found = PAGE.search(program.wait_for("compare the code"))
        assert found is not None
        strict_issuer.enter_device_code(found[0])
        assert program.ended() == 0
        assert f"signed in as {ALICE} until " in program.said


def test_a_profile_may_ask_for_the_password_itself_which_it_warns_of(
    home: Home, strict_issuer: RunningIssuer
) -> None:
    configure(home, strict_issuer, "typed", flow="password")
    command = [*PROGRAM, "--profile", "typed"]
    with OnTerminal(command, environment=home.environment) as program:
        assert "Warning" in program.wait_for("User: ")
        program.type(f"{ALICE}\n")
        program.wait_for("Password of")
        program.type(f"{usual_password(ALICE)}\n")
        assert program.ended() == 0
        assert f"signed in as {ALICE} until " in program.said
        assert usual_password(ALICE) not in program.said


def test_two_at_once_do_one_sign_in(home: Home, strict_issuer: RunningIssuer) -> None:
    first = home.begin("token", "--json", "--device")
    page = first.page()
    second = home.begin("token", "--json", "--device")
    strict_issuer.enter_device_code(page)
    assert (first.end(), second.end()) == (0, 0)
    assert known(first.stdout, first.told) == known(second.stdout, second.told)
    assert "user_code" not in second.told


def test_logging_out_ends_the_grant_that_was_handed_over(
    home: Home, alice: Walker, strict_issuer: RunningIssuer
) -> None:
    pair = signed_in(home, alice)
    done = home.run("logout")
    assert done.returncode == 0, done.stderr
    assert "Sessions that were opened with them end" in done.stderr
    assert strict_issuer.refresh(pair["refresh"]).status_code == 400
    assert "no" in home.run("status").stdout


def test_logging_out_forgets_also_where_the_issuer_is_away(
    home: Home, alice: Walker, strict_issuer: RunningIssuer
) -> None:
    signed_in(home, alice)
    strict_issuer.control.fault("/contoso", "drop", count=ALWAYS)
    done = home.run("logout")
    assert done.returncode == 69
    assert "forgotten here, but not taken back" in done.stderr
    del home.more["BROWSER"]
    assert home.run("token").returncode == 77  # nothing is left to give


def test_where_nothing_can_be_kept_a_client_is_served_all_the_same(
    home: Home, alice: Walker
) -> None:
    home.more |= {"XDG_STATE_HOME": "/dev/null/nowhere", "XDG_RUNTIME_DIR": "/dev/null/nowhere"}
    begun = home.begin("token", "--json")
    alice.walk(home.pages.read_text().strip())
    assert begun.end() == 0, begun.told
    assert known(begun.stdout, begun.told)["user"] == ALICE
    assert "The next call signs in again" in begun.told
    begun = home.begin()
    alice.walk(home.pages.read_text().strip())
    assert begun.end() == 73


def test_a_person_who_says_no_is_not_signed_in(home: Home, strict_issuer: RunningIssuer) -> None:
    begun = home.begin("token", "--device")
    strict_issuer.enter_device_code(begun.page(), agrees=False)
    assert begun.end() == 77
    assert begun.stdout == ""


def test_signing_in_tells_who_and_hands_nothing_over(home: Home, alice: Walker) -> None:
    begun = home.begin()
    alice.walk(home.pages.read_text().strip())
    assert begun.end() == 0
    assert f"signed in as {ALICE} until " in begun.told
    assert begun.stdout == ""
    (status,) = json.loads(home.run("status", "--json").stdout)
    assert (status["user"], status["good"], status["handed_over"]) == (ALICE, True, False)
    token(home)
    (status,) = json.loads(home.run("status", "--json").stdout)
    assert status["handed_over"]
