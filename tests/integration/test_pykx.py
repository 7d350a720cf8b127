"""KX's own C library as the client: PyKX, unlicensed, over the abstract socket."""

import json
import os
import subprocess
import sys

import pytest

from tests.integration.conftest import Start
from tests.integration.test_login import pair
from tests.issuer.running import ALICE, RunningIssuer
from tests.running_daemon import configuration

pytestmark = pytest.mark.needs("real")

# A process of its own: PyKX takes the interpreter over, and holds its lock while it waits.
PROGRAM = """
import json, sys
import pykx as kx
port, user, password = int(sys.argv[1]), sys.argv[2], sys.stdin.read()
with kx.SyncQConnection("localhost", port, unix=True, no_ctx=True, username="gw1") as q:
    hello = q("hello", {"name": "gw1", "type": kx.SymbolAtom("gateway"), "host": "h", "pid": 7,
                        "nonce": kx.CharVector("0123456789abcdef")})
    login = {"user": kx.SymbolAtom(user), "password": kx.CharVector(password),
             "handle": kx.IntAtom(5), "address": kx.IntAtom(0)}
    answer = q("connect", login)
    told = answer.py()
    entries = dict(zip(told, answer._values))  # indexing a dictionary takes a licence
    q("opened", entries["session"], kx.IntAtom(5))
    sessions = q("sessions")
    columns = dict(zip(sessions._keys.py(), sessions._values))
    texts = {"target": "/", "cookie": "", "accept": "*/*", "origin": "", "host": "gw1:5007"}
    request = {name: kx.CharVector(text) for name, text in texts.items()}
    request |= {"bearer": kx.CharVector(password.partition(";")[0]), "address": kx.IntAtom(0)}
    let_in = q("web", request)
    web = dict(zip(let_in.py(), let_in._values))
    refused = q("connect", {**login, "password": kx.CharVector("plain")}).py()
    try:
        q("nonsense")
    except kx.QError as error:
        wrong = str(error)
    print(json.dumps({
        "hello": sorted(hello.py()), "ok": told["ok"], "user": told["user"],
        "keys": list(told), "types": {key: type(entries[key]).__name__ for key in told},
        "web": {key: type(web[key]).__name__ for key in web}, "action": let_in.py()["action"],
        "who": let_in.py()["user"],
        "sessions": {name: type(column).__name__ for name, column in columns.items()},
        "rows": len(columns["user"]), "refused": refused["reason"], "wrong": wrong,
        "ping": q("").py() is None,
    }))
"""


def test_kxs_own_library_logs_a_user_in(strict_issuer: RunningIssuer, start: Start) -> None:
    daemon = start(configuration(strict_issuer))
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, str(daemon.port), ALICE],
        input=pair(strict_issuer.tokens()),
        env={**os.environ, "PYKX_UNLICENSED": "true", "QUDSPATH": str(daemon.folder)},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout.splitlines()[-1])
    assert told["hello"] == ["deadline", "instance", "proof", "server"]
    assert (told["ok"], told["user"], told["refused"]) == (True, ALICE, "nottoken")
    assert told["types"] == {
        "ok": "BooleanAtom",
        "session": "GUIDAtom",
        "user": "SymbolAtom",
        "roles": "SymbolVector",
        "attributes": "Dictionary",
        "expires": "TimestampAtom",
        "reason": "SymbolAtom",
    }
    assert (told["action"], told["who"]) == ("allow", ALICE)
    assert told["web"] == {
        "action": "SymbolAtom",
        "user": "SymbolAtom",
        "session": "GUIDAtom",
        "roles": "SymbolVector",
        "attributes": "Dictionary",
        "expires": "TimestampAtom",
        "status": "IntAtom",
        "headers": "CharVector",
        "body": "CharVector",
        "signout": "CharVector",
        "reason": "SymbolAtom",
        "keep": "TimespanAtom",
    }
    assert told["sessions"] == {
        "session": "GUIDVector",
        "handle": "IntVector",
        "user": "SymbolVector",
        "issuer": "SymbolVector",
        "roles": "List",
        "opened": "TimestampVector",
        "expires": "TimestampVector",
    }
    assert told["rows"] == 1
    assert told["wrong"].startswith("sessiond: unknown function")
    assert told["ping"]
