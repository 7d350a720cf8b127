"""An operator signs in for a data source with sessionctl, and the daemon has its refresh token."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests import canary
from tests.integration.conftest import Start
from tests.integration.operating import Operator, control_of, watching
from tests.integration.sourced import asking, given, refused, source, with_sources
from tests.integration.terminal import PROGRAM
from tests.issuer.browser import walk
from tests.issuer.running import ALICE, RunningIssuer
from tests.running_daemon import RunningDaemon

PATIENCE = 30.0  # seconds


def unseeded(**keys: Any) -> str:
    """Return a source that nobody has brought a refresh token."""
    return source(
        grant="refresh_token",
        client_id="feeds-desk",
        scope="openid offline_access session.login",
        **keys,
    )


@contextmanager
def authorizing(
    daemon: RunningDaemon, *options: str, name: str = "quotes"
) -> Iterator["subprocess.Popen[str]"]:
    """Run `sessionctl sources authorize`, whose browser opens nothing."""
    command = [*PROGRAM, "--control", control_of(daemon)]
    process = subprocess.Popen(
        [*command, "sources", "authorize", name, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "BROWSER": "true", "PYTHONUNBUFFERED": "1"},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def told(process: "subprocess.Popen[str]", *, code: int = 0) -> str:
    """Return what it prints until it ends; nothing of a token is in it."""
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, err
    assert canary.found_in(f"{out}{err}".encode()) == set()
    return out + err


def address(process: "subprocess.Popen[str]") -> str:
    """Return where the operator is to go."""
    assert process.stderr is not None
    line = process.stderr.readline()
    while "http" not in line or "enter the code" in line:
        assert line, "it has ended"
        line = process.stderr.readline()
    return line[line.index("http") :].strip()


def come_back(url: str, **changed: str) -> httpx.Response:
    """Do what a browser does: sign in at the issuer, and go where it leads."""
    with httpx.Client(trust_env=False, timeout=PATIENCE) as browser:
        answer = walk(browser, browser.get(url), {"login": ALICE, "password": "pw-alice"})
        back = dict(httpx.URL(url).params)["redirect_uri"]
        return browser.get(back, params={**answer, **changed})


def test_by_the_browser_a_source_gets_its_first_refresh_token(
    strict_issuer: RunningIssuer, start: Start, folder: Path
) -> None:
    daemon = start(with_sources(strict_issuer, folder, unseeded()))
    with asking(daemon) as (feed,), watching(daemon, after=0) as events:
        assert refused(feed) == "refused"
        with Operator(daemon) as operator:
            [listed] = operator.get("/v1/sources")["sources"]
            assert listed["state"] == "unauthorized"
        with authorizing(daemon, "--browser") as process:
            page = come_back(address(process))
            assert page.text.startswith("Signed in.")
            assert "quotes is authorized" in told(process)
        given(feed)
        [*_, event] = events.until("operator.authorized")
    assert (event["scope"], event["value"]) == ("source", "quotes")
    assert event["by"]["uid"] == os.geteuid()
    for name, text in strict_issuer.control.issued():
        canary.remember(text, name)
    assert strict_issuer.control.reuses() == 0


def test_an_answer_that_is_another_sign_ins_changes_nothing(
    strict_issuer: RunningIssuer, start: Start, folder: Path
) -> None:
    daemon = start(with_sources(strict_issuer, folder, unseeded()))
    with authorizing(daemon, "--browser") as process:
        url = address(process)
        back = dict(httpx.URL(url).params)["redirect_uri"]
        for query in ({"code": "x", "state": "y"}, {"error": "access_denied"}, {}):
            assert "not the answer" in httpx.get(back, params=query, trust_env=False).text
        assert "not the answer" in httpx.get(back + "other", trust_env=False).text
        assert "Signed in." in come_back(url).text
        assert "quotes is authorized" in told(process)


def test_an_answer_of_another_issuer_is_refused(
    strict_issuer: RunningIssuer, start: Start, folder: Path
) -> None:
    daemon = start(with_sources(strict_issuer, folder, unseeded()))
    with authorizing(daemon, "--browser") as process:
        page = come_back(address(process), iss="https://evil.example.com")
        assert "did not work out" in page.text
        assert "wanted" in told(process, code=77)
    assert strict_issuer.control.calls("/token") == 0


def test_with_a_device_code_no_browser_is_needed_here(
    strict_issuer: RunningIssuer, start: Start, folder: Path
) -> None:
    daemon = start(with_sources(strict_issuer, folder, unseeded()))
    with authorizing(daemon, "--device") as process:
        strict_issuer.enter_device_code(address(process))
        assert "quotes is authorized" in told(process)
    with asking(daemon) as (feed,):
        given(feed)
    assert daemon.stop() == 0
    daemon.start()
    with asking(daemon) as (feed,):
        given(feed)
    assert strict_issuer.control.reuses() == 0


def test_whoever_refuses_brings_none(
    strict_issuer: RunningIssuer, start: Start, folder: Path
) -> None:
    daemon = start(with_sources(strict_issuer, folder, unseeded()))
    with authorizing(daemon, "--device") as process:
        strict_issuer.enter_device_code(address(process), agrees=False)
        assert "access_denied" in told(process, code=77)


def test_nobody_signs_in_for_what_needs_no_refresh_token(
    strict_issuer: RunningIssuer, start: Start, folder: Path
) -> None:
    daemon = start(with_sources(strict_issuer, folder, source()))
    with authorizing(daemon, "--device") as process:
        assert "nobody signs in for source quotes" in told(process, code=64)
    with authorizing(daemon, "--device", name="none") as process:
        assert "there is no such source" in told(process, code=66)


def test_the_list_is_for_people_and_programs(
    strict_issuer: RunningIssuer, start: Start, folder: Path
) -> None:
    daemon = start(with_sources(strict_issuer, folder, source(), unseeded(name="desk")))
    command = [*PROGRAM, "--control", control_of(daemon), "sources"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert [line.split()[:3] for line in shown.splitlines()[1:]] == [
        ["desk", "refresh_token", "unauthorized"],
        ["quotes", "client_credentials", "idle"],
    ]
    listed = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    assert '"state": "unauthorized"' in listed.stdout
