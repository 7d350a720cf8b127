"""Where the daemon's CPU time goes, room by room."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

from tests.bench import sampled
from tests.bench.bench import Bench, dealt, must_be_accepted
from tests.bench.figures import Row

LOGINS = 2000
CONNECTIONS = (1, 50)
LEAST = 1  # percent, somewhere, that a room is shown for
PATIENCE = 10.0  # seconds


def measure(bench: Bench) -> Iterator[Row]:
    """Measure cold and repeat logins on a daemon that is sampled."""
    file = bench.folder / "rooms"
    found: dict[str, dict[str, float]] = {}
    logins = bench.few(LOGINS)
    seen = bench.minted("seen", 1)[0]
    unseen = iter(bench.minted("sampled", logins * len(CONNECTIONS)))
    with (
        patch.dict(os.environ, {sampled.VARIABLE: str(file)}),
        bench.fast_daemon(program=sampled.PROGRAM) as daemon,
    ):
        must_be_accepted(bench.load(daemon, [[seen]]))
        for connections in CONNECTIONS:
            for kind in ("cold", "repeat"):
                tokens = [next(unseen) if kind == "cold" else seen for _ in range(logins)]

                def load(each: list[tuple[str, str]] = tokens, among: int = connections) -> None:
                    must_be_accepted(
                        bench.load(daemon, dealt(each, among), opens=False, closes=False)
                    )

                found[f"{kind}, {connections}"] = _rooms(daemon.pid, file, load)
    rooms = {room for parts in found.values() for room in parts}
    dearest = sorted(rooms, key=lambda room: -sum(each.get(room, 0) for each in found.values()))
    for room in dearest:
        figures = {name: 100 * parts.get(room, 0.0) for name, parts in found.items()}
        if max(figures.values()) < LEAST:
            continue
        told = ", ".join(f"{name}: {part:.0f} %" for name, part in figures.items())
        yield Row(room, figures, told, f"room.{room}")


def _rooms(pid: int, file: Path, load: Callable[[], None]) -> dict[str, float]:
    os.kill(pid, signal.SIGRTMIN)
    load()
    os.kill(pid, signal.SIGRTMIN)
    until = time.monotonic() + PATIENCE
    while not file.exists() or not file.read_text():
        if time.monotonic() > until:
            raise TimeoutError("the daemon has not told where its time went")
        time.sleep(0.01)
    parts: dict[str, float] = json.loads(file.read_text())
    file.unlink()
    return parts
