"""Keeps the process's memory, which holds tokens, out of other hands."""

import ctypes
import os
import resource

_PR_SET_DUMPABLE = 4  # prctl(2)


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
