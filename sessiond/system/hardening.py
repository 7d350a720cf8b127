"""Keeps the process's memory, which holds tokens, out of other hands."""

import ctypes
import os
import resource

import structlog

BY_CONNECTION = 2  # descriptors: its socket, and for a moment what says whether the process lives
BESIDE = 512  # descriptors for all else: issuers, the control socket, the database, subscribers

_PR_SET_DUMPABLE = 4  # prctl(2)

log = structlog.get_logger()


def harden() -> None:
    """Make new files private, and allow neither core dumps nor a debugger of the same user.

    As many files may be open as this process is allowed at most: each q process is one.
    """
    os.umask(0o077)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def look_at_descriptors(max_connections: int) -> None:
    """Say so when q processes could use up the descriptors that this process may have."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = max_connections * BY_CONNECTION + BESIDE
    if allowed < needed:
        log.warning("few file descriptors", allowed=allowed, needed=needed)
