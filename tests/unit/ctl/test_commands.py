"""The commands, on a daemon that says what the test wants."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result

from sessiond.ctl import asking, commands, revoking
from sessiond.ctl.client import Client

ID = "00000000-0000-0000-0000-000000000001"
SESSION = {
    "session": ID,
    "user": "alice",
    "subject": "s",
    "issuer": "corp",
    "process": {"name": "rdb", "type": "rdb", "host": "h", "pid": 7},
    "handle": 5,
    "roles": ["reader"],
    "attributes": {},
    "state": "open",
    "opened_at": "2026-03-02T09:00:00Z",
    "expires_at": "2026-03-02T10:00:00Z",
    "refresh_at": None,
}
STATUS: dict[str, Any] = {
    "version": "1",
    "instance": ID,
    "ready_at": "2026-03-02T09:00:00Z",
    "issuers": [
        {
            "name": "corp",
            "healthy": False,
            "last_success_at": None,
            "trouble": "login.example.com answered 429",
            "last_error": "login.example.com answered 429",
            "last_error_at": "2026-03-02T09:00:00Z",
        }
    ],
    "role_sources": [
        {
            "name": "ldap",
            "plugin": "acme",
            "issuer": "corp",
            "healthy": True,
            "last_success_at": None,
            "last_error": "",
            "last_error_at": None,
            "stood_in": 2,
            "last_stood_in_at": "2026-03-02T09:00:00Z",
        }
    ],
    "configuration": {
        "loaded_at": "2026-03-02T09:00:00Z",
        "generation": 1,
        "last_error": "",
        "last_error_at": None,
        "needs_restart": [],
    },
    "hooks": {"0.1.0": 1},
    "queues": {"table": 0, "logins": 0},
    "connections": 1,
    "refused_connections": 2,
    "sessions": {"unbound": 0, "open": 3, "waiting": 0},
    "grants": 4,
    "revocations": 5,
    "store": {"path": "/db", "bytes": 6},
    "last_sequence": 7,
    "next_refresh_at": None,
}
SUBSCRIBER = {
    "name": "audit",
    "plugin": "audit",
    "state": "waiting",
    "pid": None,
    "place": 4,
    "lag": 3,
    "set_aside": 1,
    "restarts": 2,
    "last_error": "disk full",
    "last_error_at": "2026-03-02T09:00:00Z",
    "last_received_at": None,
}
SET_ASIDE = {
    "sequence": 4,
    "kind": "session.opened",
    "at": "2026-03-02T09:00:00Z",
    "attempts": 10,
    "error": "no\x1b[2J",
}
STATUS["subscribers"] = [SUBSCRIBER]
LASTING = [
    {"id": "r1", "scope": "user", "value": "alice"},
    {"id": "r2", "scope": "user", "value": "bob"},
    {"id": "r3", "scope": "issuer", "value": "alice"},
    {"id": "r4", "scope": "all", "value": ""},
]
EVENT = (
    'id: 3\n\nid: 4\nevent: session.closed\ndata: {"kind": "session.closed", "sequence": 4, '
    '"at": "2026-03-02T09:00:00Z", "user": "alice", "issuer": "corp", "process": null, '
    '"handle": 5, "reason": "lost"}\n\n'
)

KNOWN = ["alice", "bob"]
Run = Callable[..., Result]


class Daemon:
    """Answers, and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        self.streams = 1  # that are answered before the daemon is away

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content) if request.content else dict(request.url.params)
        self.asked.append((request.method, request.url.path, body))
        match request.method, request.url.path:
            case "GET", "/v1/status":
                return httpx.Response(200, json=STATUS)
            case "GET", "/v1/sessions":
                filters = (body.get("user", "alice"), body.get("process", "rdb")[:3])
                found = [SESSION] if filters == ("alice", "rdb") else []
                return httpx.Response(200, json={"sessions": found, "next": None})
            case "GET", "/v1/names":
                known = [each for each in KNOWN if each.startswith(body.get("begin", "").lower())]
                return httpx.Response(
                    200, json={"names": [{"name": each} for each in known], "next": None}
                )
            case "GET", "/v1/processes":
                process = {"name": "rdb", "pid": 7}
                return httpx.Response(200, json={"processes": [process], "next": None})
            case "DELETE", "/v1/names/nobody":
                return httpx.Response(
                    404,
                    json={"detail": "this name belongs to nobody"},
                    headers={"content-type": "application/problem+json"},
                )
            case "DELETE", "/v1/names/mine":
                return httpx.Response(
                    403,
                    json={"detail": "not yours"},
                    headers={"content-type": "application/problem+json"},
                )
            case "GET", "/v1/revocations":
                return httpx.Response(200, json={"revocations": LASTING})
            case "GET", "/v1/subscribers":
                listed = [{"status": SUBSCRIBER, "set_aside": [SET_ASIDE]}]
                former: dict[str, Any] = {"name": "old", "place": 7, "set_aside": 2}
                former["kept_at"] = "2026-03-02T09:00:00Z"
                return httpx.Response(200, json={"subscribers": listed, "former": [former]})
            case "DELETE", "/v1/subscribers/o/ld":
                return httpx.Response(204)
            case _, "/v1/subscribers/au/dit/retry" | "/v1/subscribers/au/dit/set-aside":
                return httpx.Response(200, json={"events": 3})
            case "POST", "/v1/revocations":
                return httpx.Response(200, json={"revoked": 2, "id": None})
            case "POST", "/v1/explain":
                checks = [{"check": "token", "outcome": "passed", "reason": "", "detail": "a JWT"}]
                refused = {"accepted": False, "reason": "expired", "checks": checks}
                return httpx.Response(200, json=refused)
            case "GET", "/v1/events":
                return self._stream()
            case "DELETE", _:
                return httpx.Response(204)
            case _:
                return httpx.Response(200, json=SESSION)

    def _stream(self) -> httpx.Response:
        if not self.streams:
            raise httpx.ReadError("gone")
        self.streams -= 1
        return httpx.Response(200, text=EVENT)


@pytest.fixture
def daemon() -> Daemon:
    return Daemon()


@pytest.fixture
def run(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command without a terminal; the paths that it would have connected to are noted."""

    def client(path: str) -> Client:
        made = Client(path)
        made._http = httpx.Client(transport=httpx.MockTransport(daemon), base_url="http://sessiond")
        daemon.asked.append(("CONNECT", path, None))
        return made

    monkeypatch.setattr(asking, "Client", client)
    monkeypatch.delenv("SESSIOND_CONTROL", raising=False)

    def invoke(*args: str, answers: str = "") -> Result:
        return CliRunner().invoke(commands.main, args, input=answers, prog_name="sessionctl")

    return invoke


def test_the_socket_is_the_default_one_if_nobody_names_another(
    run: Run, daemon: Daemon, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = tmp_path / "c.toml"
    config.write_text(
        '[listen]\ncontrol = "/from/config"\n[[issuer]]\nname = "corp"\n'
        'issuer = "https://login.example.com/"\nverify = "userinfo"\n'
    )
    run("status")
    monkeypatch.setenv("SESSIOND_CONTROL", "/from/environ")
    run("status")
    run("--config", str(config), "status")
    run("--control", "/from/option", "status")
    connected = [path for method, path, _ in daemon.asked if method == "CONNECT"]
    assert connected == [
        "/run/sessiond/control.sock",
        "/from/environ",
        "/from/config",
        "/from/option",
    ]


def test_the_status_is_shown_and_given_as_json(run: Run) -> None:
    text = run("status").output
    assert "0 unbound, 3 open, 0 waiting" in text
    assert "answered 429" in " ".join(text.split())
    assert "ldap" in text
    assert "1 of 0.1.0" in text
    assert "audit waiting, 3 behind" in text
    assert json.loads(run("status", "--json").output) == STATUS


def test_filters_are_handed_on(run: Run, daemon: Daemon) -> None:
    found = run("list", "--user", "alice", "--process", "rdb:7", "--json")
    assert json.loads(found.output) == {"sessions": [SESSION]}
    filters = {"limit": "1000", "user": "alice", "process": "rdb:7"}
    assert daemon.asked[-1] == ("GET", "/v1/sessions", filters)
    assert run("list").output.splitlines()[1].split()[:3] == ["alice", "rdb:7", "open"]
    assert run("list", "--wide").output.splitlines()[1].endswith(ID)
    assert "refresh_at" in run("show", ID).output


def test_watching_goes_on_where_the_stream_broke_off(
    run: Run, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", nap)
    found = run("watch", "--after", "3")
    assert found.exit_code == 130
    line = "4  2026-03-02 09:00:00Z  session.closed  alice  corp  -  handle 5  lost"
    assert found.stdout.strip() == line
    assert "trying again" in found.stderr
    places = [query for _, path, query in daemon.asked if path == "/v1/events"]
    assert places == [{"after": "3"}, {"after": "4"}]


def test_watching_nobody_ends_at_once(run: Run, daemon: Daemon) -> None:
    daemon.streams = 0
    found = run("watch", "--json")
    assert (found.exit_code, found.stdout) == (69, "")


def test_the_password_is_read_without_its_newline(run: Run, daemon: Daemon) -> None:
    found = run("explain", "--user", "alice", answers=" a pass word \r\n")
    assert daemon.asked[-1][2] == {"user": "alice", "password": " a pass word "}
    assert (found.exit_code, found.output.splitlines()[-1]) == (77, "would be refused: expired")


@pytest.mark.parametrize(
    ("args", "body"),
    [
        (("--user", "alice"), {"user": "alice"}),
        (("--session", ID), {"session": ID}),
        (("--process", "rdb:7"), {"process": "rdb:7"}),
        (("--issuer", "corp"), {"issuer": "corp"}),
        (("--all",), {"all": True}),
    ],
)
def test_revoking_asks_for_exactly_that(
    run: Run, daemon: Daemon, args: tuple[str, ...], body: dict[str, Any]
) -> None:
    found = run("revoke", *args, "--reason", "why", "--yes")
    assert (found.exit_code, found.output) == (0, "sessions ended: 2\n")
    assert daemon.asked[-1] == ("POST", "/v1/revocations", {**body, "reason": "why"})


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("--user", "alcie"), "nobody called alcie is logged in or has ever been"),
        (("--process", "rbd"), "no process called rbd is connected or has sessions"),
        (("--issuer", "crop"), "no issuer is called crop; the configuration has corp"),
        (("--session", "abcdef01"), "no live session's id begins with abcdef01"),
    ],
)
def test_what_nobody_is_called_is_not_revoked_by_a_script(
    run: Run, daemon: Daemon, args: tuple[str, ...], told: str
) -> None:
    found = run("revoke", *args, "--reason", "why", "--yes")
    assert found.exit_code == 66
    assert told in found.stderr
    assert "POST" not in {method for method, _, _ in daemon.asked}


def test_a_script_that_means_it_revokes_whom_nobody_knows(run: Run, daemon: Daemon) -> None:
    found = run("revoke", "--user", "newcomer", "--reason", "why", "--yes", "--anyway")
    assert found.exit_code == 0
    assert daemon.asked[-1] == ("POST", "/v1/revocations", {"user": "newcomer", "reason": "why"})


@pytest.mark.parametrize(("answer", "code"), [("n\n", 130), ("y\n", 0)])
def test_somebody_at_a_terminal_is_asked_whether_he_means_whom_nobody_knows(
    run: Run, daemon: Daemon, monkeypatch: pytest.MonkeyPatch, answer: str, code: int
) -> None:
    monkeypatch.setattr(revoking, "check_terminal", lambda: None)
    found = run("revoke", "--user", "alcie", "--reason", "why", answers=answer)
    assert found.exit_code == code
    told = " ".join(found.stderr.split())
    assert "nobody called alcie is logged in or has ever been; did you mean alice?" in told
    assert "Ends 0 live sessions (user alcie); tokens issued until now are refused" in told
    assert (daemon.asked[-1][0] == "POST") == (code == 0)


def test_a_user_who_is_known_but_not_logged_in_is_revoked_without_more_ado(
    run: Run, daemon: Daemon
) -> None:
    assert run("revoke", "--user", "BOB", "--reason", "why", "--yes").exit_code == 0
    assert daemon.asked[-1][0] == "POST"


def test_a_session_is_revoked_by_how_its_id_begins(run: Run, daemon: Daemon) -> None:
    assert run("revoke", "--session", ID[:8], "--reason", "why", "--yes").exit_code == 0
    assert daemon.asked[-1] == ("POST", "/v1/revocations", {"session": ID, "reason": "why"})


@pytest.mark.parametrize(
    ("args", "asked"),
    [
        (("--session", ID), f"Ends the session of alice on rdb:7 ({ID})."),
        (("--process", "rdb"), "Ends 1 live session (process rdb)."),
        (("--all",), "Ends 1 live session (all users); tokens issued until now are refused"),
    ],
)
def test_what_would_end_is_said_before_it_does(
    run: Run, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...], asked: str
) -> None:
    monkeypatch.setattr(revoking, "check_terminal", lambda: None)
    found = run("revoke", *args, "--reason", "why", answers="n\n")
    assert asked in found.stderr
    assert found.exit_code == 130


def test_what_is_forgiven_or_forgotten_may_have_a_reason(run: Run, daemon: Daemon) -> None:
    run("revoke", "--forgive", "--user", "alice", "--reason", "a mistake")
    assert daemon.asked[-1] == ("DELETE", "/v1/revocations/r1", {"reason": "a mistake"})
    run("forget", "--user", "alice", "--reason", "renamed")
    assert daemon.asked[-1] == ("DELETE", "/v1/names/alice", {"reason": "renamed"})


def test_who_may_not_forget_is_told_just_that(run: Run) -> None:
    found = run("forget", "--user", "mine")
    assert (found.exit_code, found.stderr) == (77, "sessionctl: not yours\n")


def test_a_name_that_belongs_to_nobody_is_told_so(run: Run) -> None:
    found = run("forget", "--user", "nobody")
    assert (found.exit_code, found.stderr) == (66, "sessionctl: this name belongs to nobody\n")


def test_forgiving_lifts_what_was_revoked_of_that_user_and_nothing_else(
    run: Run, daemon: Daemon
) -> None:
    assert run("revoke", "--forgive", "--user", "ALICE").output == "ALICE is forgiven\n"
    deleted = [path for method, path, _ in daemon.asked if method == "DELETE"]
    assert deleted == ["/v1/revocations/r1"]
    assert run("revoke", "--forgive", "--user", "zoe").exit_code == 66


def test_an_issuer_and_everybody_are_forgiven_too(run: Run, daemon: Daemon) -> None:
    assert run("revoke", "--forgive", "--issuer", "alice").output == "alice is forgiven\n"
    assert daemon.asked[-1][:2] == ("DELETE", "/v1/revocations/r3")
    assert run("revoke", "--forgive", "--issuer", "ALICE").exit_code == 66
    assert run("revoke", "--forgive", "--all").output == "everybody is forgiven\n"
    assert daemon.asked[-1][:2] == ("DELETE", "/v1/revocations/r4")


def test_forgetting_names_the_user(run: Run, daemon: Daemon) -> None:
    assert run("forget", "--user", "al/ice").output == "al/ice belongs to nobody now\n"
    assert daemon.asked[-1][:2] == ("DELETE", "/v1/names/al/ice")


def test_the_status_says_what_became_of_the_newest_configuration(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "refused" not in run("status").output.split("configuration")[1]
    changed = {
        **STATUS["configuration"],
        "last_error": "log.level is 'x'\nstore.path is 'y'",
        "last_error_at": "2026-03-02T09:30:00Z",
        "needs_restart": ["listen.port"],
    }
    monkeypatch.setitem(STATUS, "configuration", changed)
    text = run("status").output
    assert "listen.port" in text
    assert "2026-03-02 09:30:00Z: log.level is 'x'; store.path is 'y'" in text


def test_subscribers_and_what_was_set_aside_for_them_are_shown(run: Run) -> None:
    text = run("subscribers").output
    assert "waiting" in text
    assert "disk full" in text
    assert "no\\x1b[2J" in text
    assert json.loads(run("subscribers", "--json").output)["subscribers"][0]["status"] == SUBSCRIBER


def test_what_was_set_aside_is_sent_again_or_given_up(run: Run, daemon: Daemon) -> None:
    assert run("subscribers", "--retry", "au/dit").output == "events sent once more: 3\n"
    assert daemon.asked[-1][:2] == ("POST", "/v1/subscribers/au/dit/retry")
    assert run("subscribers", "--drop", "au/dit", "--yes").output == "events given up: 3\n"
    assert daemon.asked[-1][:2] == ("DELETE", "/v1/subscribers/au/dit/set-aside")
    assert json.loads(run("subscribers", "--retry", "au/dit", "--json").output) == {"events": 3}


def test_the_place_of_one_not_configured_any_more_is_shown_and_forgotten(
    run: Run, daemon: Daemon
) -> None:
    assert "old" in run("subscribers").output.split("NOT CONFIGURED ANY MORE")[1]
    assert run("subscribers", "--forget", "o/ld", "--yes").output == "o/ld is forgotten\n"
    assert daemon.asked[-1][:2] == ("DELETE", "/v1/subscribers/o/ld")
    forgotten = run("subscribers", "--forget", "o/ld", "--yes", "--json").output
    assert json.loads(forgotten) == {"forgotten": "o/ld"}


@pytest.mark.parametrize(
    "args",
    [
        ("subscribers", "--retry", "a", "--drop", "b", "--yes"),
        ("subscribers", "--drop", "a"),
        ("subscribers", "--drop", "a", "--forget", "b", "--yes"),
        ("subscribers", "--forget", "a"),
        ("--control", "a", "--config", "b", "status"),
        ("list", "--watch"),
        ("revoke", "--reason", "x", "--yes"),
        ("revoke", "--user", "a", "--all", "--reason", "x", "--yes"),
        ("revoke", "--user", "a", "--yes"),
        ("revoke", "--user", "a", "--reason", "x"),
        ("revoke", "--forgive", "--process", "a"),
    ],
)
def test_what_is_asked_wrongly_ends_with_64_and_changes_nothing(
    run: Run, daemon: Daemon, args: tuple[str, ...]
) -> None:
    assert run(*args).exit_code == 64
    assert {method for method, _, _ in daemon.asked} <= {"CONNECT"}


def test_a_wrong_configuration_ends_with_78(run: Run, tmp_path: Path) -> None:
    (tmp_path / "c").write_text("[listen]\nport = 0\n")
    found = run("--config", str(tmp_path / "c"), "status")
    assert found.exit_code == 78
    assert found.stderr.startswith("sessionctl: listen.port is 0")


def test_an_error_cannot_steer_the_terminal(run: Run, tmp_path: Path) -> None:
    found = run("--config", str(tmp_path / "\x07"), "status")
    assert found.exit_code == 78
    assert r"/\x07: " in found.stderr
    assert "\x07" not in found.stderr
