"""The simulated gateway's TCP port, for kdb+ clients that behave and for those that do not."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from itertools import count
from pathlib import Path

import pytest

from sessiond.demo import door
from sessiond.demo.answers import TRADE, UNKNOWN, answer
from sessiond.demo.door import MAX_CALLERS, MAX_CREDENTIALS, MAX_QUERY, Door, Knocked
from sessiond.demo.process import MAX_SHOWN
from sessiond.qipc import NIL, List, boolean, call, flag, int_, list_, string, symbol, symbols
from tests.integration.conftest import Start
from tests.integration.gateway import Client, Gateway, gateway
from tests.integration.operating import Operator

BIG_ENDIAN_USER = bytes.fromhex("0001000000000012" + "0a0000000004") + b".z.u"  # sync, of Java
QSTUDIO = (  # as qStudio 4.12 was seen to send a query
    "{v:$[`trp in key .Q; .Q.trp[{( (1b;`) ;value x)};x;{((0b;`);x;$[4<count y; .Q.sbt -4 _ y;"
    ' ""])}]; ((1b;`);value x)]; a:20000000j>@[-22!;v;{0}]; (a;$[a;v;0b];.Q.s v 1)} "'
)


@pytest.fixture
def gw(start: Start, folder: Path) -> Iterator[Gateway]:
    with gateway(start, folder) as running:
        yield running


def test_a_client_with_a_token_is_in_and_sees_who_he_is_and_a_table(gw: Gateway) -> None:
    with Client.logged_in(gw.port, "alice", gw.password()) as client:
        accepted = gw.process.expect("accepted", user="alice")
        assert client.ask(".z.u") == symbol("alice")
        assert client.ask(".z.w") == int_(accepted["handle"])
        assert client.ask("tables[]") == symbols(["trade"])
        assert client.ask("select from trade;") == TRADE
        assert client.ask("") == client.ask(NIL) == NIL
        assert client.ask('system "rm -rf /"') == client.ask(call("f", int_(1))) == UNKNOWN
    left = gw.process.expect("left")
    assert (left["user"], left["handle"]) == ("alice", accepted["handle"])
    gw.process.tell(do="sessions")
    assert gw.process.expect("sessions")["sessions"] == []  # the daemon was told


@pytest.mark.parametrize("capability", [b"\3", b"\6", b""])
def test_who_is_refused_is_closed_without_a_word(gw: Gateway, capability: bytes) -> None:
    with Client(gw.port, b"alice:wonderland" + capability + b"\0") as client:
        assert client.socket.recv(1) == b""
    refused = gw.process.expect("refused", user="alice")
    assert (refused["reason"], refused["sent"]) == ("nottoken", False)


def test_a_client_that_tries_again_without_a_capability_is_let_in(gw: Gateway) -> None:
    with Client(gw.port, f"alice:{gw.token()}\0".encode()) as client:
        assert client.socket.recv(1) == b"\0"


def test_an_operator_who_revokes_closes_the_clients_connection(gw: Gateway) -> None:
    with (
        Client.logged_in(gw.port, "alice", gw.password()) as alice,
        Client.logged_in(gw.port, "bob", gw.password("bob")) as bob,
        Operator(gw.daemon) as operator,
    ):
        operator.revoke(user="alice")
        assert alice.is_closed()
        assert gw.process.expect("closed", user="alice")["reason"] == "operator"
        assert bob.ask(".z.u") == symbol("bob")


def test_a_client_renews_its_session_with_a_fresh_token(gw: Gateway) -> None:
    with Client.logged_in(gw.port, "alice", gw.token()) as client:
        expires = gw.process.expect("accepted")["expires"]
        client.tell(call(".sessiond.renew", string("plain")))  # ignored, as the hook does
        later = gw.issuer.sign_in("alice", expires_in=7200.0).access.reveal()
        client.tell(call(".sessiond.renew", string(later)))
        assert gw.process.expect("renewed", user="alice")["expires"] > expires
        assert client.ask(call(".sessiond.renew", string(gw.token("bob")))) == NIL
        assert gw.process.expect("unrenewed")["reason"] == "usermismatch"
        assert client.ask(".z.u") == symbol("alice")


def test_a_client_that_writes_big_endian_is_understood(gw: Gateway) -> None:
    with Client.logged_in(gw.port, "alice", gw.token()) as client:
        client._wire.sync(NIL)  # an answer is awaited
        client.socket.sendall(BIG_ENDIAN_USER)
        assert client.answer() == symbol("alice")


def test_qstudios_way_of_asking_is_understood(gw: Gateway) -> None:
    with Client.logged_in(gw.port, "alice", gw.token()) as client:
        fine = list_(list_(boolean(True), symbol("")), TRADE)
        assert client.ask(QSTUDIO + 'trade"') == list_(boolean(True), fine, string(""))
        wrong = client.ask(QSTUDIO + 'f \\"x\\""')
        assert isinstance(wrong, List)
        assert isinstance(ran := wrong.items[1], List)
        assert isinstance(ran.items[0], List)
        assert flag(ran.items[0].items[0]) is False
        assert ran.items[1] == string(UNKNOWN.text)


@pytest.mark.timeout(5)
@pytest.mark.parametrize("end", ["x", '} "', ""])
def test_a_query_that_looks_like_qstudios_all_the_way_is_answered_at_once(end: str) -> None:
    query = QSTUDIO + '} "' * (MAX_QUERY // 3 - len(QSTUDIO)) + end
    assert answer(string(query), user="alice", handle=6) != TRADE


def test_while_the_daemon_is_away_who_is_in_stays_and_nobody_else_comes_in(gw: Gateway) -> None:
    with Client.logged_in(gw.port, "alice", gw.password()) as alice:
        os.kill(gw.daemon.pid, signal.SIGSTOP)
        with Client(gw.port, f"bob:{gw.token('bob')}\3\0".encode()) as bob:
            gw.daemon.kill()  # as it is asked about bob, or before
            assert bob.is_closed()
        assert gw.process.expect("refused", user="bob")["reason"] == "unavailable"
        assert alice.ask(".z.u") == symbol("alice")
        gw.daemon.start()
        assert gw.process.expect("reconciled", held=1)["doomed"] == []
        with Client.logged_in(gw.port, "bob", gw.token("bob")) as bob:
            assert bob.ask(".z.u") == symbol("bob")
        assert alice.ask(".z.u") == symbol("alice")


def test_who_was_revoked_while_the_gateway_could_not_listen_is_closed_all_the_same(
    gw: Gateway,
) -> None:
    with Client.logged_in(gw.port, "alice", gw.password()) as alice:
        gw.process.expect("accepted")
        os.kill(gw.process.pid, signal.SIGSTOP)
        with Operator(gw.daemon) as operator:
            operator.revoke(user="alice")
        gw.daemon.stop()
        os.kill(gw.process.pid, signal.SIGCONT)
        gw.daemon.start()
        assert alice.is_closed()


# What a hostile program on this machine may try


def test_credentials_are_taken_up_to_their_limit_and_cut_off_past_it(gw: Gateway) -> None:
    with Client(gw.port, b"alice:" + b"x" * (MAX_CREDENTIALS - 8) + b"\3\0") as client:
        assert client.socket.recv(1) == b""
    assert gw.process.expect("refused", user="alice")["reason"] == "nottoken"
    with Client(gw.port, b"alice:" + b"x" * (MAX_CREDENTIALS - 6)) as client:
        assert client.is_closed()  # before there is a NUL


@pytest.mark.parametrize(
    "broken",
    [
        bytes.fromhex("01010000") + (MAX_QUERY + 1).to_bytes(4, "little"),
        bytes.fromhex("0101010011000000"),  # compressed
        bytes.fromhex("010100000d000000" + "fe00000000"),  # of no type
        bytes.fromhex("010200000d000000" + "fa01000000"),  # an answer to nothing
    ],
    ids=["too large", "compressed", "no type", "an answer"],
)
def test_who_breaks_the_protocol_is_out_and_the_daemon_hears_that_he_left(
    gw: Gateway, broken: bytes
) -> None:
    with Client.logged_in(gw.port, "alice", gw.token()) as client:
        client.socket.sendall(broken)
        assert client.is_closed()
    assert gw.process.expect("left")["user"] == "alice"
    with Client.logged_in(gw.port, "alice", gw.token()) as client:
        assert client.ask(".z.u") == symbol("alice")


@pytest.mark.parametrize("user", ["", "x" * 30_000, "al\x01ice", "\u0130\u00df", "eyJ" * 50, "a;b"])
def test_whatever_name_comes_with_a_token_is_let_in_or_refused(gw: Gateway, user: str) -> None:
    with Client(gw.port, f"{user}:{gw.token()}".encode() + b"\3\0") as client:
        assert client.is_closed()
    gw.process.expect("refused", user=user[:MAX_SHOWN])
    with Client.logged_in(gw.port, "alice", gw.token()) as client:
        assert client.ask(".z.u") == symbol("alice")


def test_a_handshake_that_cannot_be_read_is_nobodys(gw: Gateway) -> None:
    with Client(gw.port, b"al\xffce:pw\3\0") as client:
        assert client.is_closed()
    assert gw.process.count("refused") == gw.process.count("left") == 0


def test_who_does_not_read_his_answers_is_not_read_either_and_holds_nobody_up(
    gw: Gateway,
) -> None:
    with (
        Client.logged_in(gw.port, "alice", gw.token()) as slow,
        Client.logged_in(gw.port, "bob", gw.token("bob")) as bob,
    ):
        questions = slow._wire.sync(string("trade")) * 1000
        slow.socket.settimeout(0)
        at = 0
        for _ in range(60):
            with suppress(BlockingIOError):  # the system's buffers are full
                while True:
                    at = (at + slow.socket.send(questions[at:])) % len(questions)
            assert bob.ask(".z.u") == symbol("bob")
        assert peak_memory(gw.process.pid) < 50 * 1024


def test_callers_beyond_the_most_wait_and_those_without_a_name_are_sent_away(
    gw: Gateway,
) -> None:
    with ExitStack() as calls:
        idle = [calls.enter_context(Client(gw.port)) for _ in range(MAX_CALLERS)]
        with Client.logged_in(gw.port, "alice", gw.token()) as alice:  # after GREETING_WITHIN
            assert alice.ask(".z.u") == symbol("alice")
        assert all(caller.is_closed() for caller in idle)


def test_who_greeted_in_time_is_heard_however_late_the_process_attends_to_him(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(door, "GREETING_WITHIN", 0.0)
    at = Door(0, handles=count(6))
    (listener,) = at.readers()
    assert isinstance(listener, socket.socket)
    number = listener.getsockname()[1]
    with listener, Client(number, b"alice:a.b.c\3\0") as client, Client(number, b"bob:") as half:
        (knocked,) = at.attend([listener], [])
        assert isinstance(knocked, Knocked)
        assert (knocked.handle, knocked.user) == (6, "alice")
        at.close(6)
        assert client.is_closed()
        assert list(at.attend([listener], [])) == []
        assert half.is_closed()


def test_a_port_that_is_taken_is_said_in_a_sentence(folder: Path) -> None:
    key = folder / "key"
    key.write_text("a key\n")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        given = ("--name", "gw", "--address", f"{folder}/kx.1", "--key-file", str(key))
        program = ("-m", "sessiond.demo.process", *given, "--port", port)
        ended = subprocess.run([sys.executable, *program], capture_output=True, text=True)
    assert ended.returncode == 2
    assert f"--port: cannot listen on {port}: " in ended.stderr


def peak_memory(pid: int) -> int:
    """Return the most that a process has had in memory so far, in KiB."""
    (line,) = (
        line
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("VmHWM")
    )
    return int(line.split()[1])
