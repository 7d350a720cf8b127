"""`.u.sub` at a running daemon: KX's own library reads the rows, and nobody waits for a sleeper."""

import json
import os
import subprocess
import sys

import pytest

from sessiond.qipc import call, symbol
from sessiond.testing import FakeProcess, QReplyError
from sessiond.testing.plain import plain
from tests.integration.conftest import Start
from tests.integration.operating import Operator
from tests.integration.test_login import pair
from tests.issuer.running import ALICE, RunningIssuer
from tests.peers import PeerFarm
from tests.running_daemon import configuration

pytestmark = pytest.mark.needs("real")

LOGINS = 300
SUBSCRIBE = call(".u.sub", symbol("sessionevents"), symbol(""))

# A process of its own: PyKX takes the interpreter over, and holds its lock while it waits.
PROGRAM = """
import json, select, sys
import pykx as kx

def columns(rows):
    return dict(zip(rows._keys.py(), rows._values))

with kx.SyncQConnection("localhost", int(sys.argv[1]), unix=True, no_ctx=True) as q:
    q("hello", {"name": "mon1", "type": kx.SymbolAtom("monitor"), "host": "h", "pid": 7,
                "nonce": kx.CharVector("0123456789abcdef")})
    name, empty = q(".u.sub", kx.SymbolAtom("sessionevents"), kx.SymbolAtom(""))
    print(json.dumps({"name": name.py(), "columns": list(columns(empty)),
                      "rows": len(columns(empty)["sym"])}), flush=True)
    told = []
    while len(told) < 3:
        select.select([q.fileno()], [], [])
        function, table, rows = q._recv(acceptAsync=True)  # no public call waits for a push
        assert (function.py(), table.py()) == ("upd", "sessionevents")
        found = columns(rows)
        types = {each: type(column).__name__ for each, column in found.items()}
        told += list(zip(found["event"].py(), found["sym"].py(), found["handle"].py(),
                         found["process"].py(), found["roles"].py()))
    print(json.dumps({"types": types, "told": told}), flush=True)
"""


def test_kxs_own_library_reads_opened_refreshed_and_revoked_as_they_happen(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    strict_issuer.control.set_access_token_lifetime(60)
    daemon = start(configuration(strict_issuer, refresh="share = 0.05\njitter = 0.0"))
    monitor = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, str(daemon.port)],
        env={**os.environ, "PYKX_UNLICENSED": "true", "QUDSPATH": str(daemon.folder)},
        stdout=subprocess.PIPE,
        text=True,
    )
    with monitor, FakeProcess(daemon.address) as q, Operator(daemon) as operator:
        assert monitor.stdout is not None
        answer = json.loads(monitor.stdout.readline())
        assert (answer["name"], answer["rows"]) == ("sessionevents", 0)
        assert answer["columns"][:4] == ["time", "sym", "event", "session"]
        q.hello("rdb1")
        q.log_in(ALICE, pair(strict_issuer.tokens()))
        assert q.next_push()["event"] == "refreshed"
        operator.revoke(user=ALICE)
        told = json.loads(monitor.stdout.readline())
    assert monitor.returncode == 0
    opened, refreshed, ordered, revoked = (row[:4] for row in told["told"])
    assert [opened, refreshed, revoked] == [
        [kind, ALICE, 5, "rdb1"]
        for kind in ("session.opened", "session.refreshed", "session.revoked")
    ]
    assert ordered == ["operator.revoked", ALICE, 0, ""]
    assert told["types"] == {
        "time": "TimestampVector",
        "sym": "SymbolVector",
        "event": "SymbolVector",
        "session": "GUIDVector",
        "handle": "IntVector",
        "process": "SymbolVector",
        "issuer": "SymbolVector",
        "roles": "List",
        "expires": "TimestampVector",
        "reason": "SymbolVector",
        "sequence": "LongVector",
    }


def handles(q: FakeProcess) -> list[int]:
    """Wait for one message of rows; return their handles."""
    name, rows = q.next_published()
    assert name == "sessionevents"
    found: list[int] = plain(dict(zip(rows.columns, rows.values, strict=True))["handle"])
    return found


def test_a_subscriber_that_sleeps_holds_no_login_and_has_missed_nothing_when_it_wakes(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(configuration(strict_issuer))
    token = strict_issuer.tokens()["access_token"]
    with PeerFarm(daemon.address, 2) as farm:
        asleep, q = FakeProcess(farm.sockets[0]), FakeProcess(farm.sockets[1])
        asleep.hello("monitor1")
        asleep.sync(SUBSCRIBE)
        q.hello("rdb1")
        for handle in range(1, LOGINS + 1):
            q.log_in(ALICE, token, handle)  # each is answered in its time
        assert len(q.sessions()) == LOGINS
        told = list[int]()
        while len(told) < LOGINS:
            told += handles(asleep)
        assert told == list(range(1, LOGINS + 1))


def test_before_hello_there_is_no_subscription(strict_issuer: RunningIssuer, start: Start) -> None:
    daemon = start(configuration(strict_issuer))
    with FakeProcess(daemon.address) as q, pytest.raises(QReplyError, match="say hello first"):
        q.sync(SUBSCRIBE)
