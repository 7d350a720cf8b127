"""What the daemon says of itself is judged."""

from typing import Any

import pytest

from sessiond import __version__
from sessiond.ctl.client import ControlError, DaemonAwayError
from sessiond.ctl.doctor import running

SUBSCRIBER = {
    "name": "audit",
    "state": "running",
    "lag": 0,
    "restarts": 0,
    "set_aside": 0,
    "last_error": "",
}
LDAP: dict[str, Any] = {"name": "ldap", "plugin": "acme", "issuer": "corp", "healthy": True}
GRAPH = {**LDAP, "name": "Microsoft Graph", "plugin": ""}
STATUS: dict[str, Any] = {
    "sources": [],
    "version": __version__,
    "ready_at": "2026-03-02T09:00:00Z",
    "refused_connections": 0,
    "configuration": {"last_error": "", "needs_restart": []},
    "hooks": {__version__: 2},
    "issuers": [{"name": "corp", "healthy": True, "trouble": ""}],
    "role_sources": [LDAP],
    "subscribers": [SUBSCRIBER],
    "tickets": None,
}
SIGNING = {"kid": "abcdefghijkl", "signs_at": "2026-03-02T09:00:00Z", "is_signing": True}
TICKETS: dict[str, Any] = {"issuer": "urn:sessiond:host1", "keys": [SIGNING]}


class Answering:
    """Stands for the client."""

    answer: Any = STATUS

    def __init__(self, path: str, *, timeout: float) -> None:
        assert (path, timeout) == ("/control", 5.0)

    def __enter__(self) -> "Answering":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def get(self, path: str) -> Any:
        assert path == "/v1/status"
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def judged(monkeypatch: pytest.MonkeyPatch, answer: Any) -> dict[str, tuple[str, str]]:
    monkeypatch.setattr(running, "Client", Answering)
    monkeypatch.setattr(Answering, "answer", answer)
    found = running.running("/control")
    return {each.check: (each.outcome.value, f"{each.found}; {each.advice}") for each in found}


def test_a_daemon_in_order_is_ok(monkeypatch: pytest.MonkeyPatch) -> None:
    found = judged(monkeypatch, STATUS)
    assert {check: outcome for check, (outcome, _) in found.items()} == {
        "daemon": "ok",
        "q processes": "ok",
        "subscriber audit": "ok",
    }


@pytest.mark.parametrize(
    ("changed", "check", "outcome", "part"),
    [
        ({"ready_at": None}, "daemon", "warning", "not ready"),
        ({"tickets": TICKETS}, "tickets", "ok", "urn:sessiond:host1 signs with abcdefgh"),
        ({"tickets": {**TICKETS, "keys": []}}, "tickets", "wrong", "ticket keys put off"),
        ({"version": "9"}, "daemon", "warning", "it runs 9"),
        ({"refused_connections": 2, "hooks": {__version__: 1}}, "q processes", "ok", "1 of"),
        ({"hooks": {}}, "q processes", "warning", "none is connected"),
        ({"hooks": {"0.0.9": 1, "": 2}}, "q processes", "warning", "2 of no stated version"),
        (
            {"configuration": {"last_error": "listen.port is wrong", "needs_restart": []}},
            "configuration",
            "wrong",
            "listen.port is wrong; mend it",
        ),
        (
            {"configuration": {"last_error": "", "needs_restart": ["store.path"]}},
            "configuration",
            "warning",
            "store.path; systemctl restart",
        ),
        (
            {"configuration": {"last_error": "", "needs_restart": ["listen.port"]}},
            "configuration",
            "warning",
            "listen.port; sockets are systemd's: install-units again",
        ),
        (
            {"sources": [{"name": "quotes", "healthy": False, "last_error": "it says no"}]},
            "source quotes",
            "wrong",
            "it says no; see to it, or sign in: sessionctl sources authorize quotes",
        ),
        (
            {"issuers": [{"name": "corp", "healthy": False, "trouble": "it answered 503"}]},
            "corp logins",
            "wrong",
            "it answered 503",
        ),
        (
            {"role_sources": [{**LDAP, "healthy": False, "last_error": "no route"}]},
            "role source ldap",
            "wrong",
            "logins at corp that need it are refused: no route; see to plugin acme",
        ),
        (
            {"role_sources": [{**GRAPH, "healthy": False, "last_error": "no consent"}]},
            "role source Microsoft Graph",
            "wrong",
            "are refused: no consent; see docs/issuers.md, overage",
        ),
        (
            {"subscribers": [{**SUBSCRIBER, "set_aside": 2, "last_error": "disk full"}]},
            "subscriber audit",
            "warning",
            "disk full; mend it, then: sessionctl subscribers --retry audit",
        ),
        (
            {"subscribers": [{**SUBSCRIBER, "state": "waiting", "last_error": "no path"}]},
            "subscriber audit",
            "warning",
            "mend it: no path",
        ),
    ],
)
def test_what_is_amiss_is_told_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any], check: str, outcome: str, part: str
) -> None:
    found = judged(monkeypatch, {**STATUS, **changed})
    assert found[check][0] == outcome
    assert part in found[check][1]


def test_a_daemon_of_another_version_is_not_misread(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(judged(monkeypatch, {"version": "0.0.1"})) == ["daemon"]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(DaemonAwayError("no daemon"), "wrong"), (ControlError("no", 77), "warning")],
)
def test_where_nobody_answers_that_is_all(
    monkeypatch: pytest.MonkeyPatch, error: Exception, outcome: str
) -> None:
    assert judged(monkeypatch, error)["daemon"][0] == outcome
