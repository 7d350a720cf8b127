"""The daemon, noting what holds its event loop: `python -m tests.bench.held run --config FILE`.

It runs on asyncio's own loop, whose callbacks can be timed; uvloop's cannot.
"""

import asyncio
import os
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import anyio

from sessiond import cli

HELD = (0.001, 0.005)  # seconds of CPU, or of time, that are worth a line
PROGRAM = ("-m", "tests.bench.held", "run", "--config")
VARIABLE = "SESSIOND_BENCH_HELD"  # the environment's name for the file with the lines


def main() -> int:
    """Be the daemon; a line for each callback that held: CPU and time in seconds, and what."""
    run, start = asyncio.Handle._run, anyio.run
    with Path(os.environ[VARIABLE]).open("a", buffering=1) as lines:

        def timed(handle: asyncio.Handle) -> None:
            cpu, began = time.thread_time(), time.perf_counter()
            run(handle)
            cpu, taken = time.thread_time() - cpu, time.perf_counter() - began
            if cpu > HELD[0] or taken > HELD[1]:
                lines.write(f"{cpu:.6f} {taken:.6f} {_what(handle)}\n")

        plain = partial(start, backend_options={"use_uvloop": False})
        with (
            patch.object(asyncio.Handle, "_run", timed),
            patch.object(anyio, "run", lambda work, **_: plain(work)),
        ):
            return int(cli.main())


def _what(handle: Any) -> str:
    """Return what ran: of a task, down to where it waits now."""
    task = getattr(handle._callback, "__self__", None)
    if not isinstance(task, asyncio.Task):
        return str(getattr(handle._callback, "__qualname__", handle._callback)).replace(" ", "_")
    names: list[str] = []
    waiting: Any = task.get_coro()
    while hasattr(waiting, "cr_await"):
        names.append(waiting.__qualname__)
        waiting = waiting.cr_await
    return ">".join(names[-5:]) or task.get_name()


if __name__ == "__main__":
    sys.exit(main())
