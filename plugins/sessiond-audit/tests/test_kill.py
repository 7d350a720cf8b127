"""kill -9 in the middle of writing, again and again: the chain holds, and nothing lacks."""

import subprocess
import sys
from pathlib import Path

import pytest
from audit_events import whole, written
from sessiond_audit import subscriber

ROUNDS = 12

# Writes batches as the daemon would bring them, from its place on; tells each that is acknowledged.
PROGRAM = """
import sys
sys.path.append(sys.argv[1])
from audit_events import events
from sessiond_audit import subscriber
log = subscriber(path=sys.argv[2], max_size=20_000, fsync=sys.argv[4])
log.start()
place = int(sys.argv[3])
while True:
    log.receive_batch(events(place + 1, place + 7))
    place += 7
    print(place, flush=True)
"""


def write_until_killed(path: Path, place: int, acknowledged: int, fsync: str) -> int:
    """Write from a place on, be killed after so many batches; return the last acknowledged."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(Path(__file__).parent), str(path), str(place), fsync],
        stdout=subprocess.PIPE,
        text=True,
    ) as writer:
        assert writer.stdout
        for _ in range(acknowledged):
            place = int(writer.stdout.readline())
        writer.kill()  # it has gone on meanwhile, and is anywhere
        for line in writer.stdout.read().splitlines():
            place = int(line)
        return place


@pytest.mark.parametrize("fsync", ["each", "never"])
def test_killed_anywhere_the_chain_holds_and_nothing_acknowledged_lacks(
    path: Path, fsync: str
) -> None:
    place = 0
    for turn in range(ROUNDS):
        place = write_until_killed(path, place, 1 + turn * 7 % 11, fsync)
        log = subscriber(path=str(path))
        log.start()  # cuts off what is torn, and writes no event
        log.stop()
        sequences = written(path)
        assert sequences == list(range(1, len(sequences) + 1))
        assert len(sequences) >= place
        assert whole(path).events == len(sequences)
    assert place >= ROUNDS * 7
