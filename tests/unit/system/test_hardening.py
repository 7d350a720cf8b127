"""What the daemon's process keeps from others, looked at in a process of its own."""

import ctypes
import os
import resource
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from sessiond.system.hardening import harden, look_at_descriptors
from tests.unit.forked import in_its_own_process

PR_GET_DUMPABLE = 3  # prctl(2)


def test_nobody_reads_its_memory_or_its_files_and_each_q_process_has_a_descriptor() -> None:
    def check() -> None:
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, most))
        harden()
        assert os.umask(0) == 0o077
        assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (most, most)
        assert ctypes.CDLL(None).prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0

    in_its_own_process(check)


def test_a_kernel_that_refuses_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: SimpleNamespace(prctl=lambda *_: -1))

    def check() -> None:
        with pytest.raises(OSError):
            harden()

    in_its_own_process(check)


@pytest.mark.parametrize(("connections", "is_said"), [(244, False), (245, True)])
def test_descriptors_that_connections_could_use_up_are_warned_of(
    monkeypatch: pytest.MonkeyPatch, connections: int, is_said: bool
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1000, 1_000_000))
    with capture_logs() as said:
        look_at_descriptors(connections)
    expected = {"event": "few file descriptors", "log_level": "warning"}
    assert said == [{**expected, "allowed": 1000, "needed": 1002}] * is_said
