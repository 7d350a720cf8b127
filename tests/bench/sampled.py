"""The daemon, sampled: `python -m tests.bench.sampled run --config FILE`.

A timer of its CPU time (setitimer(2), ITIMER_PROF) interrupts it each millisecond; the room that
the innermost frame of ours is in, with what libraries do for it, has the sample. What SQLite's
thread takes is told apart by the clocks of the threads. SIGRTMIN starts it and writes at the next.
"""

import json
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from types import FrameType

from sessiond import cli

PROGRAM = ("-m", "tests.bench.sampled", "run", "--config")
VARIABLE = "SESSIOND_BENCH_SAMPLED"  # the environment's name for the file with the counts
LOOP = "asyncio.runners"
EVERY = 0.001  # seconds of CPU time
NOBODY = "the event loop, and what waits in it"
OTHERS = "other threads (SQLite's, mostly)"


class Samples:
    """What was found since the last start."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._rooms: Counter[str] = Counter()
        self._began: tuple[float, float] | None = None

    def turn(self, _: int, __: FrameType | None) -> None:
        """Start, or end and write."""
        now = (time.process_time(), time.thread_time())
        if self._began is None:
            self._began = now
            self._rooms.clear()
            signal.setitimer(signal.ITIMER_PROF, EVERY, EVERY)
            return
        signal.setitimer(signal.ITIMER_PROF, 0)
        process, own = (at - began for at, began in zip(now, self._began, strict=True))
        self._began = None
        total = sum(self._rooms.values())
        parts = {room: count / total * own / process for room, count in self._rooms.items()}
        parts[OTHERS] = 1 - own / process
        self._file.write_text(json.dumps(parts))

    def take(self, _: int, frame: FrameType | None) -> None:
        """Count the room that is at work."""
        while frame is not None:
            name = str(frame.f_globals.get("__name__", ""))
            if name == LOOP:  # below it are those who started the loop
                break
            if name.startswith("sessiond."):
                self._rooms[name.split(".")[1]] += 1
                return
            frame = frame.f_back
        self._rooms[NOBODY] += 1


def main() -> int:
    """Be the daemon."""
    samples = Samples(Path(os.environ[VARIABLE]))
    signal.signal(signal.SIGPROF, samples.take)
    signal.signal(signal.SIGRTMIN, samples.turn)
    return int(cli.main())


if __name__ == "__main__":
    sys.exit(main())
