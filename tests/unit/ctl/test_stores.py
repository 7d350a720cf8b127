"""What is kept in the token stores, as operators see it, and what they drop."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result

from sessiond.ctl import asking, commands
from sessiond.ctl.client import Client

LOCK = {
    "name": "oauth",
    "uid": 0,
    "pid": 7,
    "since": "2026-03-02T09:00:00Z",
    "idle": 2.04,
    "waiting": 3,
}
STORES: list[dict[str, Any]] = [
    {
        "context": "externalToken://alice\x1b[2J",
        "owner": 64999,
        "made_at": "2026-03-02T08:00:00Z",
        "values": [{"name": "oauth", "size": 1234, "written_at": "2026-03-02T08:30:00Z"}],
        "locks": [],
    },
    {"context": "locked", "owner": None, "made_at": None, "values": [], "locks": [LOCK]},
]
Run = Callable[..., Result]


class Daemon:
    """Answers, and notes what it was asked."""

    def __init__(self) -> None:
        self.stores: list[dict[str, Any]] = STORES
        self.dropped: list[dict[str, str]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/v1/stores"
        query = dict(request.url.params)
        if request.method == "DELETE":
            self.dropped.append(query)
            return httpx.Response(200, json={"values": 2, "locks": 1})
        after = int(query.get("after", 0))
        last = after + 1 >= len(self.stores)
        page = {"stores": self.stores[after : after + 1], "next": None if last else f"{after + 1}"}
        return httpx.Response(200, json=page)


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

    def invoke(*args: str, answers: str = "") -> Result:
        return CliRunner().invoke(commands.main, args, input=answers, prog_name="sessionctl")

    return invoke


def test_values_are_listed_by_context_with_owner_size_and_time_and_then_locks(run: Run) -> None:
    lines = run("stores").output.splitlines()
    rows = [line.split() for line in lines]
    assert rows[0] == ["CONTEXT", "OWNER", "NAME", "BYTES", "WRITTEN"]
    assert rows[1][1:] == ["64999", "oauth", "1234", "2026-03-02", "08:30:00Z"]
    assert rows[2] == ["LOCKED", "CONTEXT", "NAME", "BY", "PID", "SINCE", "IDLE", "WAITING"]
    assert rows[3] == ["locked", "oauth", "root", "7", "2026-03-02", "09:00:00Z", "2.0", "s", "3"]
    assert "\x1b" not in "".join(lines)


def test_json_has_all_pages_as_they_come(run: Run) -> None:
    assert json.loads(run("stores", "--json").output) == {"stores": STORES}


def test_without_a_lock_there_is_no_table_of_locks_and_without_a_context_none_at_all(
    run: Run, daemon: Daemon
) -> None:
    daemon.stores = STORES[:1]
    assert "LOCKED" not in run("stores").output
    daemon.stores = []
    assert (
        run("stores").output
        == "nothing is kept, and no lock is held; without [stores] nothing can be\n"
    )


def test_a_context_is_dropped_once_that_is_agreed(run: Run, daemon: Daemon) -> None:
    context = "externalToken://alice/x?&"
    refused = run("stores", "drop", context)
    assert refused.exit_code == 64
    assert daemon.dropped == []
    found = run("stores", "drop", context, "--yes")
    assert (found.exit_code, found.output) == (0, "dropped 2 values and 1 lock\n")
    found = run("stores", "drop", context, "--yes", "--json")
    assert json.loads(found.output) == {"values": 2, "locks": 1}
    assert daemon.dropped == [{"context": context}] * 2
