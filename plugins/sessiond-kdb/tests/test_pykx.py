"""KX's own C library reads the columns: PyKX, unlicensed."""

import json
import os
import socket
import subprocess
import sys

import pytest
from kdb_standin import COLUMNS, EVENTS, SESSION, Served, Tickerplant
from sessiond_kdb.rows import columns

from sessiond.qipc import Received
from tests.needs import absent

# A process of its own: PyKX takes the interpreter over, and holds its lock while it waits.
PROGRAM = """
import json, sys
import pykx as kx
with kx.SyncQConnection("127.0.0.1", int(sys.argv[1]), no_ctx=True, username="feed") as q:
    columns = q("columns")
    print(json.dumps({"types": [type(column).__name__ for column in columns],
                      "values": [str(column.py()) for column in columns]}))
"""


def test_kxs_own_library_reads_what_is_sent(listener: socket.socket) -> None:
    if reason := absent("real"):
        pytest.skip(f"needs real: {reason}")

    def lend(served: Served, _: Received) -> None:
        served.send(served.wire.reply(columns(EVENTS, "timestamp")))

    with Tickerplant(listener, behave=lend) as tickerplant:
        run = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", PROGRAM, str(tickerplant.port)],
            env={**os.environ, "PYKX_UNLICENSED": "true"},
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout.splitlines()[-1])
    assert dict(zip(COLUMNS, told["types"], strict=True)) == {
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
    values = dict(zip(COLUMNS, told["values"], strict=True))
    assert values["sequence"] == "[7, 8, 9, 19]"
    assert values["sym"] == "['alice@example.com', '', 'alice@example.com', '']"
    assert values["roles"] == "[['trader', 'reader'], [], [], []]"
    assert str(SESSION) in values["session"]
