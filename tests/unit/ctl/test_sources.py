"""The data sources as operators see them, and the sign-in that brings one its refresh token."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Self

import httpx
import pytest
from click.testing import CliRunner, Result

from sessiond.ctl import asking, commands, sources
from sessiond.ctl.client import Client

ID = "00000000-0000-0000-0000-000000000001"
PATH = "/v1/sources/quotes/authorizations"
SOURCES: list[dict[str, Any]] = [
    {
        "name": "users",
        "grant": "on_behalf_of",
        "issuer": "corp",
        "state": "refused",
        "expires_at": None,
        "last_fetched_at": None,
        "last_error": "the issuer says no\x1b[2J",
        "last_error_at": "2026-03-02T09:00:00Z",
        "processes": ["feed*", "gw*"],
        "readers": [],
    },
    {
        "name": "quotes",
        "grant": "refresh_token",
        "issuer": "corp",
        "state": "ready",
        "expires_at": "2026-03-02T09:05:00Z",
        "last_fetched_at": "2026-03-02T09:00:00Z",
        "last_error": "an old one",
        "last_error_at": "2026-03-02T08:00:00Z",
        "processes": [],
        "readers": ["app"],
    },
]
Run = Callable[..., Result]


class Daemon:
    """Answers, and notes what it was asked."""

    def __init__(self) -> None:
        self.sources = SOURCES
        self.begun: dict[str, Any] = {
            "id": ID,
            "url": "https://issuer/authorize?state=st",
            "complete_url": "",
            "user_code": "",
            "expires_in": 300.0,
        }
        self.standing = [{"state": "authorized", "detail": ""}]
        self.asked: list[tuple[str, str, Any]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content) if request.content else None
        self.asked.append((request.method, request.url.path, body))
        if request.url.path == "/v1/sources":
            return httpx.Response(200, json={"sources": self.sources})
        if request.url.path == PATH:
            return httpx.Response(200, json=self.begun)
        if body is not None and body["code"] == "other":
            detail = {"detail": "state is another sign-in's"}
            headers = {"content-type": "application/problem+json"}
            return httpx.Response(400, json=detail, headers=headers)
        return httpx.Response(200, json=self.standing.pop(0))


@pytest.fixture
def daemon() -> Daemon:
    return Daemon()


@pytest.fixture
def run(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> Run:
    def client(path: str) -> Client:
        made = Client(path)
        made._http = httpx.Client(transport=httpx.MockTransport(daemon), base_url="http://sessiond")
        return made

    monkeypatch.setattr(asking, "Client", client)
    monkeypatch.setattr(sources, "AGAIN", 0.0)
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)

    def invoke(*args: str) -> Result:
        return CliRunner().invoke(commands.main, args, prog_name="sessionctl")

    return invoke


@pytest.fixture
def visits(monkeypatch: pytest.MonkeyPatch) -> list[Mapping[str, str]]:
    """What the browser comes back with, one after the other."""
    coming: list[Mapping[str, str]] = []

    class Back:
        redirect_uri = "http://127.0.0.1:1/"

        def __init__(self, port: int) -> None:
            if port == 80:
                raise PermissionError(13, "Permission denied")

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def wait(self, take: Callable[[Mapping[str, str]], bool | None], *, seconds: float) -> bool:
            assert seconds == 300.0
            return any(take(each) is not None for each in coming)

    monkeypatch.setattr(sources, "ComingBack", Back)
    monkeypatch.setattr("webbrowser.open", lambda url: True)
    return coming


def test_they_are_listed_by_name_with_what_is_wrong_below(run: Run, daemon: Daemon) -> None:
    lines = run("sources").output.splitlines()
    assert [line.split()[:3] for line in lines[1:3]] == [
        ["quotes", "refresh_token", "ready"],
        ["users", "on_behalf_of", "refused"],
    ]
    assert lines[3:] == ["users: the issuer says no\\x1b[2J"]
    assert json.loads(run("sources", "--json").output) == {"sources": SOURCES}
    daemon.sources = []
    assert run("sources").output == "no sources are configured\n"


def test_without_a_display_it_is_a_device_code(run: Run, daemon: Daemon) -> None:
    waiting = {"state": "waiting", "detail": ""}
    daemon.standing = [waiting, waiting, *daemon.standing]
    daemon.begun |= {"user_code": "ABCD", "complete_url": "https://issuer/d?c=ABCD"}
    found = run("sources", "authorize", "quotes")
    assert found.exit_code == 0
    assert "enter the code: ABCD" in found.stderr
    assert "https://issuer/d?c=ABCD" in found.stderr
    assert found.stdout == "quotes is authorized\n"
    assert daemon.asked[0] == ("POST", PATH, {})
    assert [each[0] for each in daemon.asked[1:]] == ["GET"] * 3


def test_what_the_browser_comes_back_with_is_handed_on(
    run: Run, daemon: Daemon, visits: list[Mapping[str, str]]
) -> None:
    visits += [
        {},
        {"code": "c", "state": "wrong"},
        {"error": "access_denied"},
        {"state": "st"},
        {"code": "other", "state": "st"},
        {"code": "c", "state": "st", "iss": "https://issuer", "session_state": "x"},
    ]
    found = run("sources", "authorize", "quotes", "--browser", "--json")
    assert json.loads(found.stdout) == {"authorized": "quotes"}
    assert daemon.asked[0] == ("POST", PATH, {"redirect_uri": "http://127.0.0.1:1/"})
    assert [body for _, path, body in daemon.asked if path == f"{PATH}/{ID}"] == [
        {"code": "other", "state": "st"},
        {"code": "c", "state": "st", "iss": "https://issuer"},
    ]


@pytest.mark.parametrize(
    ("visit", "detail"),
    [
        ({"error": "access_denied", "state": "st"}, "the issuer says access_denied"),
        ({"code": "c", "state": "st"}, "no refresh token"),
        ({}, "nobody has signed in in time"),
    ],
)
def test_what_came_to_nothing_is_said_and_ends_with_77(
    run: Run, daemon: Daemon, visits: list[Mapping[str, str]], visit: dict[str, str], detail: str
) -> None:
    visits.append(visit)
    daemon.standing = [{"state": "failed", "detail": "no refresh token"}]
    found = run("sources", "authorize", "quotes", "--port", "5555")
    assert found.exit_code == 77
    assert detail in found.stderr


def test_a_port_that_cannot_be_had_is_said(run: Run, visits: list[Mapping[str, str]]) -> None:
    found = run("sources", "authorize", "quotes", "--port", "80")
    assert found.exit_code == 69
    assert "give another --port" in found.stderr
