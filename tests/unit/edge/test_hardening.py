"""What the daemon's process keeps from others, looked at in a process of its own."""

import ctypes
import os
import resource
from types import SimpleNamespace

import pytest

from sessiond.edge.hardening import harden
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
