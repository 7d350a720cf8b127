"""What the machine is, and what it spent: facts for the table's head, CPU, memory, the disk."""

import os
import platform
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

from sessiond import __version__
from tests.bench import dovecot

MIB = 1 << 20
PAGE = os.sysconf("SC_PAGE_SIZE")  # bytes
_CPUCLOCK_SCHED = 2  # linux/posix-timers.h: how the kernel numbers the clocks of processes
BLOCK = bytes(4096)  # about what a small transaction appends to SQLite's log


def facts(folder: Path) -> dict[str, str]:
    """Return what the figures depend on; `folder` is on the disk that is used."""
    return {
        "measured": f"{datetime.now(UTC):%Y-%m-%d}",
        "sessiond": f"{__version__}, commit {_commit()}",
        "beside": f"Dovecot {dovecot.version() or 'is not installed'}",
        "cores": f"{os.cpu_count()} x {_processor()}",
        "load before": load_average(),
        "Python": platform.python_version(),
        "kernel": platform.release(),
        "file system": _file_system(folder),
    }


def load_average() -> str:
    """Return how many processes wanted to run in the last 1, 5 and 15 minutes."""
    return " ".join(f"{load:.2f}" for load in os.getloadavg())


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process and all its threads so far: user and system.

    Its CPU-time clock (clock_getcpuclockid(3)): what /proc/PID/stat has in ticks of 10 ms as utime
    and stime, in nanoseconds.
    """
    return time.clock_gettime(~pid << 3 | _CPUCLOCK_SCHED)


def resident_mib(pid: int) -> float:
    """Return the memory of a process that is in RAM."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE / MIB


def fsync_seconds(folder: Path, count: int) -> list[float]:
    """Append a block to a file in `folder` and wait until it is on disk, `count` times."""
    taken = []
    path = folder / "fsync"
    with path.open("wb", buffering=0) as file:
        for _ in range(count):
            started = time.monotonic()
            file.write(BLOCK)
            os.fsync(file.fileno())
            taken.append(time.monotonic() - started)
    path.unlink()
    return taken


def _commit() -> str:
    """Return the commit that the checkout is at, and whether it was changed since."""
    asked = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    found = subprocess.run(asked, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _file_system(folder: Path) -> str:
    """Return the type of the mount that holds a folder: the longest mount point above it."""
    found, longest = "unknown", -1
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, point, kind, *_ = line.split(" ")
        if folder.is_relative_to(point) and len(point) > longest:
            found, longest = kind, len(point)
    return found
