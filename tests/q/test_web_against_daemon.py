"""HTTP and websockets at a q process with the hook, the real daemon, and real tokens."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.issuer.running import ALICE, BOB, RunningIssuer
from tests.q.conftest import Start, asking_daemon, keep_secrets
from tests.q.interpreter import Interpreter
from tests.q.test_against_daemon import INTROSPECTION, hooked, opaque
from tests.running_daemon import RunningDaemon

pytestmark = [pytest.mark.needs("q"), pytest.mark.needs("real")]

PAGE = """
.sessiond.web:1b
.z.ph:{[x] .h.hy[`txt;.Q.s1 .sessiond.who[.z.w]`name`roles]}
.z.ws:{[x] neg[.z.w] string .sessiond.who[.z.w]`name}
"""
HOST = "Host: gateway:5007"


@pytest.fixture
def daemon(strict_issuer: RunningIssuer, folder: Path) -> Iterator[RunningDaemon]:
    keep_secrets(folder)
    with asking_daemon(strict_issuer, folder, INTROSPECTION) as running:
        yield running


@pytest.fixture
def q(start_q: Start, unix_shim: str, daemon: RunningDaemon) -> Interpreter:
    return hooked(start_q, unix_shim, daemon, PAGE)


def bearer(issuer: RunningIssuer, user: str = ALICE) -> str:
    return "Authorization: Bearer " + opaque(issuer, user).removeprefix("bearer:")


def test_a_bearer_is_one_session_for_all_its_requests_and_a_bad_one_is_told_why(
    strict_issuer: RunningIssuer, q: Interpreter, daemon: RunningDaemon
) -> None:
    alices, bobs = bearer(strict_issuer), bearer(strict_issuer, BOB)
    for _ in range(3):
        assert f"(`{ALICE};,`reader)" in q.get("/", HOST, alices)
    assert f"`{BOB}" in q.get("/", HOST, bobs)
    q.run("delete from `.sessiond.kept;")
    q.get("/", HOST, alices)
    assert q.evaluate("count .sessiond.webs") == "2"
    refused = q.get("/", HOST, "Authorization: Bearer not-a-token-of-this-issuer")
    assert refused.startswith("HTTP/1.1 401 Unauthorized\r\n")
    assert 'WWW-Authenticate: Bearer error="invalid_token"' in refused
    for secret in (alices, bobs):
        assert secret.removeprefix("Authorization: Bearer ") not in q.logged + "".join(daemon.lines)


def test_when_the_issuer_ends_a_grant_its_pages_and_websockets_end(
    strict_issuer: RunningIssuer, q: Interpreter
) -> None:
    alices, bobs = bearer(strict_issuer), bearer(strict_issuer, BOB)
    q.get("/", HOST, bobs)
    socket = q.socket(HOST, alices)
    assert socket is not None
    q.wait_until("1=exec sum ws from .sessiond.sessions")
    theirs = q.evaluate("asc `$string exec session from .sessiond.ask(`sessions;::)")
    assert theirs == q.evaluate("asc `$string exec session from .sessiond.sessions")
    strict_issuer.control.revoke_user(ALICE)
    assert socket.is_closed()
    q.wait_until("1=count .sessiond.sessions")
    assert "401 Unauthorized" in q.get("/", HOST, alices)
    assert f"`{BOB}" in q.get("/", HOST, bobs)


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_after_a_restart_of_the_daemon_pages_and_websockets_go_on(
    strict_issuer: RunningIssuer, q: Interpreter, daemon: RunningDaemon, how: str
) -> None:
    alices = bearer(strict_issuer)
    socket = q.socket(HOST, alices)
    assert socket is not None
    q.wait_until("1=exec sum ws from .sessiond.sessions")
    before = q.evaluate("exec session from .sessiond.sessions")
    getattr(daemon, how)()
    q.wait_until("not .sessiond.ready[]")
    assert f"`{ALICE}" in q.get("/", HOST, alices)  # kept
    assert "503 Service Unavailable" in q.get("/", HOST, bearer(strict_issuer, BOB))
    daemon.start()
    q.wait_until(".sessiond.ready[]")
    assert f"`{ALICE}" in q.get("/", HOST, alices)
    q.wait_until("2=count .sessiond.sessions")
    assert sorted(q.evaluate("exec session from .sessiond.sessions").split()) == sorted(
        before.split()
    )
