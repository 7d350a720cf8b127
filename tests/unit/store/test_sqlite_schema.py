"""What bringing an older database to the newest schema costs."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from importlib import resources
from itertools import count

SCHEMA = resources.files("sessiond.store").joinpath("schema")
STEPS = 100  # of SQLite's machine between two calls


def steps_to_the_third_schema(sessions: int) -> int:
    """Return how many hundred steps it takes with so many sessions on a pair of tokens each."""
    taken = count()
    with closing(sqlite3.connect(":memory:")) as db:
        for number in (1, 2):
            db.executescript(SCHEMA.joinpath(f"{number:04}.sql").read_text())
        db.executemany(
            "INSERT INTO grants VALUES (?, 'corp', 'a', 'c', 0, 1, x'01', 1, 1, NULL, '')",
            ((key(0, number),) for number in range(sessions)),
        )
        db.executemany("INSERT INTO tokens VALUES (?, ?, 0, 1, 0)", tokens(sessions))
        db.executemany(
            "INSERT INTO sessions VALUES"
            " (?, 1, 1, 1, '', '{}', 'corp', 'a', 'a', ?, ?, 1, 1, 'open', 0, NULL, '[]', '{}')",
            ((key(0, number), key(0, number), key(1, number)) for number in range(sessions)),
        )
        db.set_progress_handler(lambda: next(taken) < 0, STEPS)
        db.executescript(SCHEMA.joinpath("0003.sql").read_text())
        db.set_progress_handler(None, 0)
        (linked,) = db.execute(
            "SELECT count(*) FROM tokens WHERE grant_id IS NULL AND length(came_with) = 32"
        ).fetchone()
        assert linked == sessions
    return next(taken)


def key(kind: int, number: int) -> bytes:
    return bytes([kind]) + number.to_bytes(31, "big")


def tokens(sessions: int) -> Iterator[tuple[bytes, bytes]]:
    for number in range(sessions):
        yield key(1, number), key(0, number)
        yield key(2, number), key(0, number)


def test_twice_the_sessions_take_twice_the_work_to_bring_to_the_third_schema() -> None:
    """A start has its time too: 50,000 sessions would take longer than systemd waits."""
    few, many = steps_to_the_third_schema(200), steps_to_the_third_schema(800)
    assert many < 6 * few
