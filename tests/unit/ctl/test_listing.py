"""What is there, as lists and as JSON; short ids lead to whole ones before anything is done."""

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sessiond.ctl import asking
from sessiond.ctl.client import Client
from sessiond.ctl.commands import main
from tests.unit.ctl.test_commands import SESSION

ID = "b74f209c-3033-4d95-bcc1-7b3e44aea694"
FOUND: dict[str, Any] = {
    "sessions": [{**SESSION, "session": ID}],
    "processes": [
        {
            "name": "gw1",
            "type": "gateway",
            "host": "h",
            "pid": 7,
            "uid": 1,
            "hook": "",
            "connected": True,
            "sessions": 1,
        }
    ],
    "names": [{"name": "alice", "issuer": "corp", "subject": "s", "sessions": 1}],
    "revocations": [
        {"id": ID, "scope": "all", "value": "", "at": "2026-03-02T09:00:00Z", "reason": "drill"}
    ],
}


class Daemon(Client):
    """One that has one of each, or nothing."""

    def __init__(self, found: dict[str, Any]) -> None:
        self.found = found
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, _: str) -> "Daemon":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def get(self, path: str, **query: str | int) -> Any:
        self.asked.append((path, query))
        what = path.removeprefix("/v1/")
        if what in self.found:
            return {what: self.found[what], "next": None}
        return {**SESSION, "session": path.rpartition("/")[2]}


def run(monkeypatch: pytest.MonkeyPatch, daemon: Daemon, *args: str) -> Result:
    monkeypatch.setattr(asking, "Client", daemon)
    return CliRunner().invoke(main, args, prog_name="sessionctl")


@pytest.mark.parametrize(
    ("command", "what", "shown"),
    [
        ("list", "sessions", "b74f209c"),
        ("processes", "processes", "gw1:7"),
        ("names", "names", "alice"),
        ("revocations", "revocations", "drill"),
    ],
)
def test_each_list_is_for_people_for_wide_screens_and_for_programs(
    monkeypatch: pytest.MonkeyPatch, command: str, what: str, shown: str
) -> None:
    daemon = Daemon(FOUND)
    for args in ((command,), (command, "--wide")):
        found = run(monkeypatch, daemon, *args)
        assert found.exit_code == 0, found.output
        assert shown in found.output.splitlines()[1]
    assert json.loads(run(monkeypatch, daemon, command, "--json").output)[what] == FOUND[what]
    nothing = run(monkeypatch, Daemon({**FOUND, what: []}), command)
    assert (nothing.exit_code, nothing.output[:3]) == (0, "no ")
    empty = run(monkeypatch, Daemon({**FOUND, what: []}), command, "--json")
    assert json.loads(empty.output)[what] == []


def test_names_are_asked_for_by_how_they_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = Daemon(FOUND)
    run(monkeypatch, daemon, "names", "--begin", "al")
    assert daemon.asked == [("/v1/names", {"limit": 1000, "begin": "al"})]


@pytest.mark.parametrize("typed", ["b74f20", "B74F209C", ID])
def test_a_session_is_shown_by_how_its_id_begins(
    monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    daemon = Daemon(FOUND)
    found = run(monkeypatch, daemon, "show", typed, "--json")
    assert json.loads(found.output)["session"] == ID
    assert daemon.asked[-1][0] == f"/v1/sessions/{ID}"


@pytest.mark.parametrize(("typed", "code"), [("b74f", 64), ("nonsense", 64), ("b74f21", 66)])
def test_what_begins_no_id_is_refused(
    monkeypatch: pytest.MonkeyPatch, typed: str, code: int
) -> None:
    assert run(monkeypatch, Daemon(FOUND), "show", typed).exit_code == code
