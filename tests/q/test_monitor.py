"""The example monitor in a q process, subscribed to a real daemon."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from sessiond.qipc import call, dictionary, long, symbol, symbols
from sessiond.testing import FakeProcess
from tests.integration.operating import Operator
from tests.issuer.running import ALICE, BOB, RunningIssuer
from tests.q.conftest import Start
from tests.q.interpreter import HOOK, Interpreter
from tests.q.test_against_daemon import folder as folder  # fixtures
from tests.running_daemon import RunningDaemon, configuration

pytestmark = [pytest.mark.needs("q"), pytest.mark.needs("real")]

Monitor = Callable[..., Interpreter]


@pytest.fixture
def daemon(strict_issuer: RunningIssuer, folder: Path) -> Iterator[RunningDaemon]:
    with RunningDaemon(folder, configuration(strict_issuer)) as running:
        yield running


@pytest.fixture
def monitor(
    q_executable: str, tmp_path: Path, unix_shim: str, daemon: RunningDaemon
) -> Iterator[Monitor]:
    """A function that starts q with monitor.q, subscribed; lines before it and after it."""
    with ExitStack() as running:

        def start(before: str = "", after: str = "") -> Interpreter:
            script = "\n".join(
                [
                    f".monitor.port:{daemon.port}",
                    f".monitor.address:`::{daemon.port}",
                    ".monitor.retry:0D00:00:00.05",
                    before,
                    f"\\l {HOOK}/monitor.q",
                    after,
                ]
            )
            environment = {
                "QUDSPATH": str(daemon.folder),
                "KXPORT": str(daemon.port),
                "LD_PRELOAD": unix_shim,
            }
            q = running.enter_context(
                Interpreter.start(q_executable, tmp_path, script, environment=environment)
            )
            q.wait_until("not null .monitor.since")
            return q

        yield start


def log_in(q: FakeProcess, issuer: RunningIssuer, user: str, handle: int) -> None:
    q.log_in(user, issuer.tokens(user)["access_token"], handle)


def test_it_shows_who_is_logged_in_where_as_it_happens(
    strict_issuer: RunningIssuer, daemon: RunningDaemon, monitor: Monitor
) -> None:
    with FakeProcess(daemon.address) as q:
        q.hello("rdb1")
        watching = monitor()
        assert watching.evaluate("type .monitor.events") == "98h"  # .u.sub's answer: the table
        log_in(q, strict_issuer, ALICE, 5)
        log_in(q, strict_issuer, BOB, 6)
        watching.wait_until("2=count .monitor.who[]")
        assert watching.evaluate("exec user from .monitor.who[]") == f"`{ALICE}`{BOB}"
        assert watching.evaluate("exec distinct process from .monitor.who[]") == ",`rdb1"
        assert watching.evaluate("exec handle from .monitor.who[]") == "5 6i"
        assert watching.evaluate("all .z.p<exec expires from .monitor.who[]") == "1b"
        q.disconnect(5)
        watching.wait_until("1=count .monitor.who[]")
        assert watching.evaluate("exec user from .monitor.who[]") == f",`{BOB}"
        kinds = watching.evaluate("exec event from .monitor.events")
        assert kinds == "`session.opened`session.opened`session.closed"


def test_a_revocation_is_seen_and_so_is_who_was_there_before_once_he_is_refreshed(
    strict_issuer: RunningIssuer, daemon: RunningDaemon, monitor: Monitor
) -> None:
    with FakeProcess(daemon.address) as q:
        q.hello("rdb1")
        tokens = [strict_issuer.tokens(ALICE)["access_token"] for _ in range(2)]
        session = q.log_in(ALICE, tokens[0])["session"]
        watching = monitor()
        assert watching.evaluate("count .monitor.who[]") == "0"
        assert q.renew(session, tokens[1])["ok"]
        watching.wait_until("1=count .monitor.who[]")
        assert watching.evaluate("exec user from .monitor.who[]") == f",`{ALICE}"
        assert watching.evaluate("exec event from .monitor.events") == ",`session.renewed"
        with Operator(daemon) as operator:
            assert operator.revoke(user=ALICE)["revoked"] == 1
        watching.wait_until("0=count .monitor.who[]")
        assert watching.evaluate("last exec event from .monitor.events") == "`session.revoked"


def test_a_refused_login_shows_no_name_that_was_only_typed(
    strict_issuer: RunningIssuer, daemon: RunningDaemon, monitor: Monitor
) -> None:
    with FakeProcess(daemon.address) as q:
        q.hello("rdb1")
        watching = monitor()
        log_in(q, strict_issuer, ALICE, 5)
        for user in ("nobody", ALICE.upper()):
            assert not q.connect(user, "not a token", handle=0)["ok"]
        watching.wait_until("2=count .monitor.refused[]")
        assert watching.evaluate("asc exec sym from .monitor.refused[]") in (
            f"``{ALICE}",
            f"`s#``{ALICE}",
        )
        assert watching.evaluate("exec first reason from .monitor.refused[]") == "`nottoken"


def test_it_hears_only_of_whom_it_asked_for(
    strict_issuer: RunningIssuer, daemon: RunningDaemon, monitor: Monitor
) -> None:
    with FakeProcess(daemon.address) as q:
        q.hello("rdb1")
        watching = monitor(f'.monitor.users:`nobody,`$"{BOB.upper()}"')
        log_in(q, strict_issuer, ALICE, 5)
        log_in(q, strict_issuer, BOB, 6)
        watching.wait_until("0<count .monitor.who[]")
        assert watching.evaluate("exec sym from .monitor.events") == f",`{BOB}"


def test_it_begins_anew_when_the_daemon_is_back(
    strict_issuer: RunningIssuer, daemon: RunningDaemon, monitor: Monitor
) -> None:
    watching = monitor()
    with FakeProcess(daemon.address) as q:
        q.hello("rdb1")
        log_in(q, strict_issuer, ALICE, 5)
        watching.wait_until("1=count .monitor.who[]")
        daemon.stop()
    watching.wait_until("null .monitor.h")
    assert watching.evaluate("count .monitor.who[]") == "1"  # what was known last
    daemon.start()
    watching.wait_until("not null .monitor.h")
    watching.wait_until("0=count .monitor.who[]")
    assert watching.evaluate(".monitor.since>.z.p-0D00:01") == "1b"
    with FakeProcess(daemon.address) as q:
        q.hello("rdb1")
        log_in(q, strict_issuer, BOB, 6)
        watching.wait_until("1=count .monitor.who[]")


def test_rows_from_anybody_else_are_not_heard_and_other_tables_go_their_way(
    strict_issuer: RunningIssuer, daemon: RunningDaemon, monitor: Monitor
) -> None:
    watching = monitor(".others.of:()\nupd:{[t;x] .others.of:.others.of,t}")
    watching.run("upd[`sessionevents;([] session:1#0Ng; event:1#`session.opened)]")
    watching.run("upd[`trade;()]")
    assert watching.evaluate(".others.of") == "`sessionevents`trade"
    assert watching.evaluate("count .monitor.who[]") == "0"


def test_a_client_that_gets_the_number_of_its_handle_is_not_heard(monitor: Monitor) -> None:
    watching = monitor(".came:0\n.z.po:{.came+:1}\n")
    watching.run("\\t 0")  # nothing happens between two messages
    handle = watching.evaluate(".monitor.h")
    watching.run("hclose .monitor.h;")
    mallory = watching.login("mallory", "pw")
    assert mallory is not None
    assert watching.evaluate(f"{handle} in key .z.W") == "1b"
    rows = dictionary({"event": symbols(["session.opened"])})
    mallory.ask(call("upd", symbol("sessionevents"), rows))
    assert watching.evaluate("null .monitor.h") == "1b"
    assert watching.evaluate(".came") == "1"
    watching.run("\\t 10")
    watching.wait_until("not null .monitor.h")
    assert mallory.ask(call("count", symbols(["a"]))) == long(1)


def test_lost_events_make_it_begin_anew(daemon: RunningDaemon, monitor: Monitor) -> None:
    watching = monitor()
    row = "sym:1#`a; process:1#`p; handle:1#5i; issuer:1#`corp; roles:enlist 1#`r; expires:1#0Wp"
    opened = f"([] time:1#.z.p; event:1#`session.opened; session:1?0Ng; {row})"
    watching.run(f".monitor.upd {opened}")
    assert watching.evaluate("count .monitor.who[]") == "1"
    watching.run(".monitor.row `event`session!(`gap;0Ng)")
    assert watching.evaluate("count .monitor.who[]") == "0"


def test_it_does_not_load_beside_the_hook(start_q: Start, daemon: RunningDaemon) -> None:
    q = start_q(after=f'@[system;"l {HOOK}/monitor.q";{{-1 x}}]')
    assert q.prints("monitor.q needs a process of its own")
