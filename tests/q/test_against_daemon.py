"""The hook in a q process, the real daemon, and real tokens of a real issuer."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sessiond.qipc import call, long, string, symbols
from tests.issuer.running import ALICE, BOB, RunningIssuer
from tests.q.conftest import Start, asking_daemon, keep_secrets, reaching
from tests.q.interpreter import Client, Interpreter
from tests.running_daemon import RunningDaemon, configuration

pytestmark = [pytest.mark.needs("q"), pytest.mark.needs("real")]

INTROSPECTION = """
verify = "introspection"
client_secret_file = "{folder}/secret"
roles_claim = ["scope"]
[issuer.roles]
"session.login" = "reader"
"""


@pytest.fixture
def folder(folder: Path) -> Path:
    """The same with the files that the daemon reads."""
    keep_secrets(folder)
    return folder


@pytest.fixture
def daemon(strict_issuer: RunningIssuer, folder: Path) -> Iterator[RunningDaemon]:
    """A daemon for opaque tokens."""
    with asking_daemon(strict_issuer, folder, INTROSPECTION) as running:
        yield running


@pytest.fixture
def jwt_daemon(strict_issuer: RunningIssuer, folder: Path) -> Iterator[RunningDaemon]:
    """A daemon for JWTs, which are longer than some interpreters' credentials may be."""
    settings = configuration(strict_issuer, listen='proof_key_file = "{folder}/proof"')
    with RunningDaemon(folder, settings) as running:
        yield running


def hooked(start_q: Start, shim: str, daemon: RunningDaemon, before: str = "") -> Interpreter:
    """Start q with the hook, connected to the daemon."""
    q = start_q(
        before,
        port=daemon.port,
        environment=reaching(daemon, shim),
    )
    q.wait_until(".sessiond.ready[]")
    return q


def opaque(issuer: RunningIssuer, user: str = ALICE) -> str:
    token: str = issuer.tokens(user, client="qstudio-opaque")["access_token"]
    return "bearer:" + token


def entered(q: Interpreter, user: str, password: str) -> Client:
    client = q.login(user, password)
    q.evaluate("1b")  # by now its log is here
    assert client is not None, q.said
    return client


def works(client: Client) -> bool:
    return client.ask(call("count", symbols(["a", "b"]))) == long(2)


def test_the_daemon_proves_itself_to_q(
    start_q: Start, unix_shim: str, jwt_daemon: RunningDaemon
) -> None:
    q = hooked(start_q, unix_shim, jwt_daemon)
    assert q.prints("which proved itself")


def test_a_daemon_that_was_given_another_key_gets_no_token(
    strict_issuer: RunningIssuer, start_q: Start, unix_shim: str, folder: Path
) -> None:
    (folder / "proof").write_text("another key, as long as the right one is\n")
    settings = configuration(strict_issuer, listen='proof_key_file = "{folder}/proof"')
    with RunningDaemon(folder, settings) as squatter:
        q = start_q(
            port=squatter.port,
            environment=reaching(squatter, unix_shim),
        )
        q.wait_until("0<count .sessiond.trouble")
        assert q.login(ALICE, "bearer:an-opaque-access-token") is None
        assert q.prints("somebody else is listening")


def test_a_real_opaque_token_logs_in_over_the_wire(
    strict_issuer: RunningIssuer, start_q: Start, unix_shim: str, daemon: RunningDaemon
) -> None:
    q = hooked(start_q, unix_shim, daemon)
    client = entered(q, ALICE, opaque(strict_issuer))
    assert works(client)
    assert q.evaluate("exec first roles from .sessiond.sessions") == ",`reader"
    assert q.login(BOB, opaque(strict_issuer, ALICE)) is None
    assert q.login(ALICE, "bearer:not-a-token-of-this-issuer") is None
    assert q.login(ALICE, "pw-alice") is None
    client.close()
    q.wait_until("0=count .sessiond.sessions")


def test_a_real_jwt_logs_in_and_a_spoiled_one_does_not(
    strict_issuer: RunningIssuer, start_q: Start, unix_shim: str, jwt_daemon: RunningDaemon
) -> None:
    q = hooked(start_q, unix_shim, jwt_daemon)
    tokens = strict_issuer.tokens()
    access, pair = tokens["access_token"], f"{tokens['access_token']};{tokens['refresh_token']}"
    assert q.evaluate(f'.z.pw[`$"{ALICE}";"{access}"]') == "1b"
    assert q.evaluate(f'.z.pw[`$"{ALICE}";"{pair}"]') == "1b"
    assert q.evaluate(f'.z.pw[`$"{BOB}";"{access}"]') == "0b"
    assert q.evaluate(f'.z.pw[`$"{ALICE}";"{access[:-8]}AAAAAAAA"]') == "0b"
    assert q.prints("refused: usermismatch")
    assert q.prints("refused: badsignature")
    assert access not in q.logged


def test_when_the_issuer_ends_a_grant_the_handle_is_closed(
    strict_issuer: RunningIssuer, start_q: Start, unix_shim: str, daemon: RunningDaemon
) -> None:
    q = hooked(start_q, unix_shim, daemon, ".went:0#0i\n.z.pc:{.went,:x}")
    alice = entered(q, ALICE, opaque(strict_issuer, ALICE))
    bob = entered(q, BOB, opaque(strict_issuer, BOB))
    strict_issuer.control.revoke_user(ALICE)
    assert alice.is_closed()
    q.wait_until("1=count .sessiond.sessions")
    assert q.evaluate("count .went") == "1"
    assert works(bob)


def test_when_a_token_expires_the_handle_is_closed(
    strict_issuer: RunningIssuer, start_q: Start, unix_shim: str, daemon: RunningDaemon
) -> None:
    q = hooked(start_q, unix_shim, daemon)
    strict_issuer.control.set_access_token_lifetime(2)
    alice = entered(q, ALICE, opaque(strict_issuer))
    assert alice.is_closed()
    q.wait_until("0=count .sessiond.sessions")
    # Where the login took as long as the token lasts, the issuer says so first.
    assert any(f": {reason}" in q.said for reason in ("expired", "revoked", "inactive"))


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_after_a_restart_of_the_daemon_live_sessions_go_on(
    strict_issuer: RunningIssuer,
    start_q: Start,
    unix_shim: str,
    daemon: RunningDaemon,
    how: str,
) -> None:
    q = hooked(start_q, unix_shim, daemon)
    alice = entered(q, ALICE, opaque(strict_issuer, ALICE))
    bob = entered(q, BOB, opaque(strict_issuer, BOB))
    q.run(".sessiond.ask(`sessions;::)")  # its answer says that both openings are recorded
    getattr(daemon, how)()
    q.wait_until("not .sessiond.ready[]")
    assert works(alice)
    assert q.login(ALICE, opaque(strict_issuer, ALICE)) is None
    bob.close()
    q.wait_until("1=count .sessiond.sessions")
    daemon.start()
    q.wait_until(".sessiond.ready[]")
    assert works(alice)
    assert works(entered(q, BOB, opaque(strict_issuer, BOB)))
    q.run("theirs:.sessiond.ask(`sessions;::)")
    q.run("ours:0!.sessiond.sessions")
    for column in ("session", "handle"):  # the daemon still knows whose handle is whose
        listed = q.evaluate(f"`$string theirs`{column}").split("`")
        assert sorted(listed) == sorted(q.evaluate(f"`$string ours`{column}").split("`"))
    assert q.evaluate("count theirs") == "2", q.said


def test_a_session_that_the_daemon_has_lost_is_closed_at_reconcile(
    strict_issuer: RunningIssuer, start_q: Start, unix_shim: str, daemon: RunningDaemon
) -> None:
    q = hooked(start_q, unix_shim, daemon)
    alice = entered(q, ALICE, opaque(strict_issuer))
    daemon.kill()
    for part in daemon.folder.glob("sessiond.db*"):
        if not part.name.endswith(".key"):
            part.unlink()
    daemon.start()
    assert alice.is_closed()
    q.wait_until(".sessiond.ready[]")
    assert q.evaluate("count .sessiond.sessions") == "0"
    assert q.prints(": reconciled")


def test_a_session_whose_handle_q_closed_itself_ends_in_the_daemon_and_no_other_does(
    strict_issuer: RunningIssuer, start_q: Start, unix_shim: str, daemon: RunningDaemon
) -> None:
    q = hooked(start_q, unix_shim, daemon)
    entered(q, ALICE, opaque(strict_issuer, ALICE))
    q.run("\\t 0")  # what the timer would notice is noticed at the next login
    handle = q.evaluate("first exec handle from .sessiond.sessions")
    q.run(f".adapter.hangup {handle};")
    bob = entered(q, BOB, opaque(strict_issuer, BOB))
    assert q.evaluate("first exec handle from .sessiond.sessions where open") == handle
    q.wait_until(f'(enlist `$"{BOB}")~exec user from .sessiond.ask(`sessions;::)')
    assert works(bob)


def test_a_user_renews_his_session_with_a_fresh_token(
    strict_issuer: RunningIssuer, start_q: Start, unix_shim: str, daemon: RunningDaemon
) -> None:
    q = hooked(start_q, unix_shim, daemon)
    strict_issuer.control.set_access_token_lifetime(60)
    alice = entered(q, ALICE, opaque(strict_issuer))
    before = q.evaluate("exec first expires from .sessiond.sessions")
    strict_issuer.control.set_access_token_lifetime(3600)
    alice.tell(call(".sessiond.renew", string(opaque(strict_issuer))))
    q.wait_until(f"{before}<exec first expires from .sessiond.sessions")
    assert works(alice)


def test_no_token_is_in_what_q_or_the_daemon_print(
    strict_issuer: RunningIssuer, start_q: Start, unix_shim: str, daemon: RunningDaemon
) -> None:
    q = hooked(start_q, unix_shim, daemon)
    token = opaque(strict_issuer)
    entered(q, ALICE, token)
    q.login(BOB, token)
    bare = token.removeprefix("bearer:")
    assert bare not in q.logged
    assert bare not in "".join(daemon.lines)
