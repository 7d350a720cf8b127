"""What a subscriber's process has given up, looked at in a process of its own."""

import ctypes
import os
import resource
import signal
import socket
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from sessiond.extensions.subscribers import child, confinement, wire
from sessiond.extensions.subscribers.wire import Setup
from tests.unit.forked import in_its_own_process

PR_GET_PDEATHSIG = 2  # prctl(2)
MANY = 1 << 40  # bytes


def test_of_the_environment_it_is_given_what_it_needs_and_no_place_of_a_secret() -> None:
    environ = {
        "PATH": "/bin",
        "TZ": "UTC",
        "CREDENTIALS_DIRECTORY": "/run/credentials/sessiond.service",
        "NOTIFY_SOCKET": "/run/systemd/notify",
        "LISTEN_FDS": "3",
        "SESSIOND_SECRET": "x",
    }
    assert confinement.environment(environ) == {
        "PATH": "/bin",
        "TZ": "UTC",
        "PYTHONUNBUFFERED": "1",
        "MALLOC_ARENA_MAX": "2",
    }


def test_it_holds_no_descriptor_gains_no_privilege_and_dies_with_the_daemon_alone(
    tmp_path: Path,
) -> None:
    def check() -> None:
        left_open = os.open(tmp_path, os.O_RDONLY)
        assert left_open > confinement.WIRE
        confinement.confine()
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(left_open)
        signal_of_death = ctypes.c_int()
        ctypes.CDLL(None).prctl(PR_GET_PDEATHSIG, ctypes.byref(signal_of_death), 0, 0, 0)
        assert signal_of_death.value == signal.SIGKILL
        assert Path("/proc/self/oom_score_adj").read_text() == "500\n"
        assert "NoNewPrivs:\t1\n" in Path("/proc/self/status").read_text()
        assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(os.getpid(), number)

    in_its_own_process(check)


def test_what_leaks_is_told_that_there_is_no_memory() -> None:
    def check() -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        confinement.limit_memory(pages * os.sysconf("SC_PAGE_SIZE") + (64 << 20))
        with pytest.raises(MemoryError):
            bytearray(256 << 20)

    in_its_own_process(check)


def test_a_kernel_that_refuses_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: SimpleNamespace(prctl=lambda *_: -1))
    with pytest.raises(OSError):
        confinement.confine()


def test_it_runs_on_the_socket_that_is_its_standard_input_and_ends_when_it_is_over() -> None:
    daemon, its = socket.socketpair()
    setup = Setup(plugin="none", name="n", settings={}, memory=MANY)
    daemon.sendall(wire.frame_of(setup))

    def check() -> None:
        os.dup2(its.fileno(), 0)
        with pytest.MonkeyPatch.context() as patch:  # what ends the process ends its coverage
            patch.setattr(os, "_exit", sys.exit)
            with pytest.raises(SystemExit) as ended:
                child.main("n")
        assert ended.value.code == os.EX_OK

    in_its_own_process(check)
    with daemon, its:
        frames = wire.Frames(max_size=wire.MAX_FROM_CHILD)
        frames.receive_data(daemon.recv(65536))
        (body,) = frames.whole()
        assert b"no plugin 'none' in sessiond.subscribers" in body
