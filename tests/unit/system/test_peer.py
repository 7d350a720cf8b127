"""Who connected, by the kernel's word, and who may."""

import errno
import os
import pwd
import re
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sessiond.core.errors import ConfigError, NotNowError
from sessiond.system import peer as peer_module
from sessiond.system.peer import AllowList, Peer, peer_of, started_at

SO_PEERPIDFD = 77
STRANGE = b") R \xff ( 2 3"  # what a process may call itself


class Told(socket.socket):
    """A connected socket whose peer is what a test says."""

    pid = os.getpid()
    groups: tuple[int, ...] = ()
    refusal: int | None = None
    pidfd_of: int | None = None  # whose pidfd SO_PEERPIDFD gives
    pidfd_refusal = errno.ENOPROTOOPT

    def getsockopt(self, level: int, option: int, size: int = 0) -> Any:
        if option == SO_PEERPIDFD:
            if self.pidfd_of is None:
                raise OSError(self.pidfd_refusal, os.strerror(self.pidfd_refusal))
            return os.pidfd_open(self.pidfd_of)
        if size != 1024:
            return struct.pack("3i", self.pid, 501, 20)
        if self.refusal is not None:
            raise OSError(self.refusal, os.strerror(self.refusal))
        return struct.pack(f"{len(self.groups)}I", *self.groups)


@pytest.fixture
def told() -> Iterator[Told]:
    ours, theirs = socket.socketpair()
    with Told(fileno=ours.detach()) as connected, theirs:
        yield connected


def start_of(pid: int) -> int:
    """Return field 22 of proc(5)'s stat, read in another way than the code under test does."""
    content = Path(f"/proc/{pid}/stat").read_bytes()
    stat = re.fullmatch(rb"\d+ \(.*\) (.*)", content, re.DOTALL)
    assert stat is not None
    return int(stat[1].split()[22 - 3])


def peer(uid: int, *groups: int) -> Peer:
    return Peer(uid=uid, groups=frozenset(groups), pid=1, started=1)


def test_the_peer_of_a_connection_is_who_made_it() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        found = peer_of(ours)
    assert (found.uid, found.pid) == (os.geteuid(), os.getpid())
    assert found.groups == {os.getegid(), *os.getgroups()}
    assert found.started == start_of(os.getpid()) > 0


def test_the_primary_and_the_supplementary_groups_are_one_set(told: Told) -> None:
    told.groups = (4, 4_000_000_000)
    found = peer_of(told)
    assert found.uid == 501
    assert found.groups == {20, 4, 4_000_000_000}


def test_of_somebody_with_too_many_groups_only_the_primary_one_counts(told: Told) -> None:
    told.refusal = errno.ERANGE
    assert peer_of(told).groups == {20}


def test_any_other_refusal_of_the_kernel_is_an_error(told: Told) -> None:
    told.refusal = errno.ENOTCONN
    with pytest.raises(OSError, match="not connected"):
        peer_of(told)


def test_a_peer_in_another_pid_namespace_has_no_pid_and_no_start_time(told: Told) -> None:
    told.pid = 0
    assert (peer_of(told).pid, peer_of(told).started) == (0, 0)


def test_a_peer_whose_process_is_gone_is_nobody(told: Told) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        told.pid = process.pid
    with pytest.raises(ProcessLookupError):
        peer_of(told)


def test_a_peer_that_has_hung_up_is_nobody() -> None:
    ours, theirs = socket.socketpair()
    with ours:
        theirs.close()
        with pytest.raises(ProcessLookupError, match="is gone"):
            peer_of(ours)


@pytest.mark.parametrize("starts", [(5, 6), (5, 0), (0, 0)])
def test_a_peer_whose_pid_now_belongs_to_another_process_is_nobody(
    told: Told, monkeypatch: pytest.MonkeyPatch, starts: tuple[int, int]
) -> None:
    at = iter(starts)
    monkeypatch.setattr(peer_module, "started_at", lambda _: next(at))
    with pytest.raises(ProcessLookupError, match="is gone"):
        peer_of(told)


def test_where_the_kernel_gives_the_process_that_connected_its_pid_alone_proves_nothing(
    told: Told,
) -> None:
    told.pidfd_of = os.getpid()
    assert peer_of(told).pid == os.getpid()
    told.pidfd_of = None
    told.pidfd_refusal = errno.ESRCH  # it has ended, and another may have its pid
    with pytest.raises(ProcessLookupError):
        peer_of(told)


def test_who_has_ended_is_nobody_though_its_pid_is_not_given_to_another_yet(told: Told) -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)  # it has ended, and its pid is taken
    told.pid = told.pidfd_of = child
    try:
        with pytest.raises(ProcessLookupError, match="is gone"):
            peer_of(told)
    finally:
        os.waitpid(child, 0)


def test_whoever_was_passed_the_socket_of_a_process_that_ended_is_not_it(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        listening.listen()
        ours, theirs = socket.socketpair()
        with ours, theirs:
            child = os.fork()
            if child == 0:
                passed = socket.socket(socket.AF_UNIX)
                passed.connect(str(tmp_path / "s"))
                socket.send_fds(theirs, [b"x"], [passed.fileno()])
                os._exit(0)
            _, (fd,), _, _ = socket.recv_fds(ours, 1, 1)
            os.waitpid(child, 0)
        accepted, _ = listening.accept()
        with accepted, socket.socket(fileno=fd), pytest.raises(OSError):
            peer_of(accepted)


@pytest.mark.parametrize("is_pinned", [True, False])
def test_looking_at_a_peer_leaves_no_descriptor_open(told: Told, *, is_pinned: bool) -> None:
    told.pidfd_of = os.getpid() if is_pinned else None
    before = sorted(Path("/proc/self/fd").iterdir())
    for _ in range(3):
        peer_of(told)
    assert sorted(Path("/proc/self/fd").iterdir()) == before


def test_a_start_time_is_read_whatever_the_process_calls_itself() -> None:
    program = (
        "from pathlib import Path\n"
        f"Path('/proc/self/comm').write_bytes({STRANGE!r})\n"
        "print(flush=True)\ninput()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert STRANGE in Path(f"/proc/{process.pid}/stat").read_bytes()
        assert started_at(process.pid) == start_of(process.pid) >= start_of(os.getpid())
        process.communicate(b"\n")


def test_a_process_that_is_gone_or_not_known_has_no_start_time() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    assert started_at(process.pid) == 0
    assert started_at(0) == 0


def test_names_and_numbers_make_an_allow_list() -> None:
    allowed = AllowList.of(["nobody", "4711", 4712], ["root", "815", 816])
    assert allowed.users == {0, os.geteuid(), pwd.getpwnam("nobody").pw_uid, 4711, 4712}
    assert allowed.groups == {0, 815, 816}


def test_the_own_user_and_root_always_may() -> None:
    allowed = AllowList.of([], [])
    assert allowed.admits(peer(0))
    assert allowed.admits(peer(os.geteuid()))
    assert not allowed.admits(peer(4711, 0, os.getegid()))


def test_a_user_or_any_one_of_the_groups_is_enough() -> None:
    allowed = AllowList.of([4711], [815])
    assert allowed.admits(peer(4711))
    assert allowed.admits(peer(4712, 3, 815))
    assert not allowed.admits(peer(4712, 3, 816))
    assert not allowed.admits(peer(815, 4711))


def test_a_user_that_is_not_there_is_the_operators_mistake() -> None:
    with pytest.raises(ConfigError, match=r"listen\.allow_users: no user 'no such user'"):
        AllowList.of(["no such user"], [])


def test_a_group_that_is_not_there_is_the_operators_mistake() -> None:
    with pytest.raises(ConfigError, match=r"listen\.allow_groups: no group 'no such group'"):
        AllowList.of([], ["no such group"])


def test_a_list_has_users_and_groups_after_an_at_and_is_refused_with_its_keys_name() -> None:
    listed = AllowList.listed("listen.subscribers", ["nobody", 4711, "@root", "@815"])
    assert listed.users == {0, os.geteuid(), pwd.getpwnam("nobody").pw_uid, 4711}
    assert listed.groups == {0, 815}
    with pytest.raises(ConfigError, match=r"listen\.subscribers: no user 'no-such-user'"):
        AllowList.listed("listen.subscribers", ["no-such-user"])


def test_an_exact_list_has_neither_root_nor_the_daemons_own_user_unless_they_are_in_it() -> None:
    allowed = AllowList.exactly("access.process[1].peers", [65534, "@0"])
    assert (allowed.users, allowed.groups) == (frozenset({65534}), frozenset({0}))
    with pytest.raises(NotNowError, match=r"access.process\[1\].peers: no user 'nobody-here'"):
        AllowList.exactly("access.process[1].peers", ["nobody-here"])
