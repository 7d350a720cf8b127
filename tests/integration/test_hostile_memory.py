"""What local users send fills no memory, is no other user's loss, and tells them nothing."""

import os
import struct
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import UUID

import pytest

from sessiond.qipc import ClientConnection, call, string, symbol
from sessiond.testing import FakeProcess, QReplyError
from sessiond.testing.calls import hello_call
from tests.integration.conftest import Connected, Start
from tests.integration.test_reload import reload
from tests.issuer.running import ALICE, RunningIssuer
from tests.running_daemon import RunningDaemon, configuration

MIB = 1 << 20
BROKEN = 200  # connections at a time
ROUNDS = 2
KEPT = 96 * MIB  # of memory: well above what is kept at a time, far below what was sent
NOBODY = 65534


def half(size: int) -> bytes:
    """Return a message of so many bytes, but for the last one."""
    return struct.pack("<BBBBI", 1, 1, 0, 0, size) + bytes(size - 9)


def resident(daemon: RunningDaemon) -> int:
    """Return the bytes of memory that the daemon has."""
    pages = int(Path(f"/proc/{daemon.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


def break_off_before_hello(daemon: RunningDaemon, message: bytes) -> None:
    crowd = []
    for _ in range(BROKEN):
        peer = FakeProcess(daemon.address)
        with suppress(BrokenPipeError, ConnectionResetError):
            peer.send(message)
        crowd.append(peer)
    for peer in crowd:
        peer.close()


def break_off_after_hello(daemon: RunningDaemon, message: bytes) -> None:
    for _ in range(BROKEN):
        with FakeProcess(daemon.address) as q:
            q.hello()
            q.send(message)


def test_memory_for_messages_that_never_end_is_given_back(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(configuration(strict_issuer))
    before = resident(daemon)
    for _ in range(ROUNDS):
        break_off_before_hello(daemon, half(MIB))
        break_off_before_hello(daemon, half(65_536))
        break_off_after_hello(daemon, half(MIB))
    with FakeProcess(daemon.address) as q:
        q.hello()
        assert q.connect(ALICE, strict_issuer.tokens()["access_token"])["ok"]
    assert resident(daemon) - before < KEPT


def said() -> tuple[bytes, bytes]:
    """Return a greeting with a hello, and a subscription to what nothing happens to."""
    client = ClientConnection(MIB)
    greeting = client.greeting("theirs")
    client.receive_data(b"\x03")
    client.next_event()
    hello = greeting + client.sync(hello_call("theirs"))
    return hello, client.sync(call(".u.sub", symbol("sessionevents"), symbol("alice")))


BECOME = """
import os, socket, struct, sys
os.setgroups([])
os.setgid(65534)
os.setuid(65534)

def greet(address, hello):
    peer = socket.socket(socket.AF_UNIX)
    peer.connect(bytes.fromhex(address))
    peer.sendall(bytes.fromhex(hello))
    peer.recv(1)
    receive(peer)
    return peer

def receive(peer):
    head = peer.recv(8, socket.MSG_WAITALL)
    return peer.recv(struct.unpack_from("<I", head, 4)[0] - 8, socket.MSG_WAITALL)
"""


@contextmanager
def somebody_else(program: str, *words: str) -> Iterator["subprocess.Popen[str]"]:
    """Run a program as another user; it ends with the block."""
    with subprocess.Popen(
        [sys.executable, "-c", BECOME + textwrap.dedent(program), *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            yield running
        finally:
            running.kill()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_one_user_s_unread_messages_are_bounded_and_cost_no_other_user_anything(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(configuration(strict_issuer, listen=f"allow_users = [{NOBODY}]"))
    daemon.folder.chmod(0o755)
    crowd = """
        size = 1 << 20
        children = []
        for _ in range(60):
            ours, theirs = socket.socketpair()
            if os.fork() == 0:
                peer = greet(*sys.argv[1:])
                try:
                    peer.sendall(struct.pack("<BBBBI", 1, 1, 0, 0, size) + bytes(size - 9))
                except OSError:
                    pass
                theirs.sendall(b"x")
                ours.close()
                theirs.recv(1)
                os._exit(0)
            ours.recv(1)
            children.append(ours)
        print("sent", flush=True)
        input()
    """
    hello, _ = said()
    with somebody_else(crowd, daemon.address.hex(), hello.hex()) as theirs:
        assert theirs.stdout is not None
        assert theirs.stdout.readline() == "sent\n"
        daemon.logged(1, event="process cut off", process="theirs")
        with FakeProcess(daemon.address) as q:
            q.hello()
            assert q.connect(ALICE, strict_issuer.tokens()["access_token"])["ok"]
            with pytest.raises(QReplyError, match="unknown function"):
                q.sync(string("x" * 500_000))
    cut = daemon.logged(1, event="process cut off")
    assert {each["process"] for each in cut} == {"theirs"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_who_may_subscribe_is_configured_and_counts_from_the_reload_on(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    listen = f"allow_users = [{NOBODY}]"
    daemon = start(configuration(strict_issuer, listen=listen))
    daemon.folder.chmod(0o755)
    program = """
        peer = greet(*sys.argv[1:3])
        for line in sys.stdin:
            peer.sendall(bytes.fromhex(sys.argv[3]))
            print(receive(peer)[0], flush=True)
    """
    hello, subscription = said()
    words = (daemon.address.hex(), hello.hex(), subscription.hex())
    with somebody_else(program, *words) as theirs:
        assert theirs.stdin is not None
        assert theirs.stdout is not None
        answers = []
        for subscribers in (None, "", '"root"', '"@nogroup"', f'"{NOBODY}"'):
            if subscribers is not None:
                more = f"{listen}\nsubscribers = [{subscribers}]"
                reload(daemon, configuration(strict_issuer, listen=more))
            theirs.stdin.write("ask\n")
            theirs.stdin.flush()
            answers.append(int(theirs.stdout.readline()))
    error, table = 128, 0
    assert answers == [table, table, error, table, table]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_only_the_connections_of_who_may_not_connect_any_more_end(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    allowed = configuration(strict_issuer, listen=f"allow_users = [{NOBODY}]")
    daemon = start(allowed)
    daemon.folder.chmod(0o755)
    program = """
        peer = greet(*sys.argv[1:])
        print("in", flush=True)
        peer.recv(1)
        print("out", flush=True)
    """
    words = (daemon.address.hex(), said()[0].hex())
    q = process(daemon)
    with somebody_else(program, *words) as theirs:
        assert theirs.stdout is not None
        assert theirs.stdout.readline() == "in\n"
        reload(daemon, configuration(strict_issuer))
        assert theirs.stdout.readline() == "out\n"
    q.ping()
    reload(daemon, allowed)
    with somebody_else(program, *words) as theirs:
        assert theirs.stdout is not None
        assert theirs.stdout.readline() == "in\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a pid namespace")
def test_after_a_restart_nobody_is_taken_for_a_process_without_a_pid(
    strict_issuer: RunningIssuer, folder: Path
) -> None:
    apart = (
        "-c",
        "import os, sys; os.execvp('unshare', ['unshare', '--pid', '--fork', '--kill-child',"
        " sys.executable, '-m', 'sessiond', 'run', '--config', sys.argv[1]])",
    )
    with RunningDaemon(folder, configuration(strict_issuer), program=apart) as daemon:
        with FakeProcess(daemon.address) as q:
            q.hello()
            session: UUID = q.log_in(ALICE, strict_issuer.tokens()["access_token"])["session"]
            daemon.kill()
        daemon.start()
        daemon.logged(1, event="process cannot come back, sessions end", process="gw1")
        with FakeProcess(daemon.address) as q:
            q.hello()
            assert q.sessions() == []
            assert q.reconcile({5: session}) == [5]
