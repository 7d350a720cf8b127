"""What a subscriber's process gives up before it loads the plugin.

It bounds accidents: leaks, crashes, hangs, a daemon that is gone. It is no wall against a hostile
plugin, which runs as the daemon's own user: it can open what that user can open (the database and
the key beside it, systemd's credentials, if it knows where they are), send that user's processes
signals, and use the network. It is told none of these places, inherits no descriptor, and cannot
read the daemon's memory, which the kernel keeps from debuggers (see sessiond.system.hardening).
So: install only plugins that you trust with the daemon's files.
"""

import ctypes
import os
import resource
import signal
from collections.abc import Mapping
from pathlib import Path

WIRE = 3  # the descriptor of the socket to the daemon
INHERITED = ("PATH", "LANG", "LC_ALL", "HOME", "PYTHONPATH", "TZ")  # of the environment

_PR_SET_PDEATHSIG = 1  # prctl(2)
_PR_SET_NO_NEW_PRIVS = 38
_HIGHEST = 1 << 20  # descriptors
_EXPENDABLE = 500  # thousandths of the memory that it counts as having in addition


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what of the daemon's environment a subscriber's process is given."""
    kept = {name: environ[name] for name in INHERITED if name in environ}
    # Lines come out as they are printed; a thread's arena takes no 64 MiB of address space.
    return {**kept, "PYTHONUNBUFFERED": "1", "MALLOC_ARENA_MAX": "2"}


def confine() -> None:
    """Die with the daemon or before it, gain no privileges, dump no core; stop at its word alone.

    Every descriptor but the standard ones and the wire is closed, whoever left it open.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    for option, value in ((_PR_SET_PDEATHSIG, signal.SIGKILL), (_PR_SET_NO_NEW_PRIVS, 1)):
        if libc.prctl(option, int(value), 0, 0, 0) != 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # A service's signals may reach all of its processes. SIG_IGN would be inherited further.
        signal.signal(number, lambda *_: None)
    # Where memory runs out the kernel takes this process first, and the daemon goes on: proc(5).
    Path("/proc/self/oom_score_adj").write_text(str(_EXPENDABLE), encoding="ascii")
    os.closerange(WIRE + 1, _HIGHEST)


def limit_memory(size: int) -> None:
    """Bound this process's address space, in bytes: what leaks gets MemoryError."""
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
