"""A commit is one statement, however many tables it writes to."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from importlib import resources
from typing import Any

import pytest

from sessiond.core.grant import KnownToken
from sessiond.core.rows import Drop, NameOwner, Put, Write
from sessiond.store.one_statement import MOST, Statement, execute, prepare, statements_of
from sessiond.store.sealing import KeyRing
from sessiond.store.sqlite import QUERIES, VERSION
from tests.fakes import START, grant_id, opened_event, refreshable, session, token_hash

RING = KeyRing({1: bytes(32)})
LOGIN: list[Write] = [
    refreshable(1),
    *(
        Put(KnownToken(hash=token_hash(name), grant=grant_id(1), seen_at=START, keep_until=START))
        for name in ("access", "refresh")
    ),
    Put(NameOwner(name="alice", issuer="corp", subject="s")),
    Put(session(1)),
]


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        schema = resources.files("sessiond.store").joinpath("schema")
        for number in range(1, VERSION + 1):
            db.executescript(schema.joinpath(f"{number:04}.sql").read_text())
        prepare(db, QUERIES)
        yield db


class Counting:
    """Executes what it is given, and keeps the texts: the interpreter may change hands at each."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self.texts: list[str] = []

    def execute(self, text: str, parameters: Any = ()) -> object:
        self.texts.append(text)
        return self._db.execute(text, parameters)

    @property
    def in_transaction(self) -> bool:
        return self._db.in_transaction


def run(db: sqlite3.Connection, statements: list[Statement]) -> list[str]:
    counting = Counting(db)
    execute(counting, statements)  # type: ignore[arg-type]  # as much of a connection as it uses
    return counting.texts


def count(db: sqlite3.Connection, table: str) -> int:
    (number,) = db.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 - a test's own
    return int(number)


def test_a_login_is_one_statement_and_no_transaction_beside_it(db: sqlite3.Connection) -> None:
    said = run(db, statements_of(LOGIN, [opened_event(1)], RING))
    assert len(said) == 1
    assert said[0].startswith("INSERT INTO batch ")
    tables = ("grants", "refresh_tokens", "tokens", "names", "sessions", "events")
    assert [count(db, table) for table in tables] == [1, 1, 2, 1, 1, 1]
    said = run(db, statements_of([Drop(each.row) for each in LOGIN], [], RING))
    assert len(said) == 1
    assert [count(db, table) for table in tables] == [0, 0, 0, 0, 0, 1]


def test_few_texts_stay_prepared_however_many_rows_there_are() -> None:
    def texts(rows: int) -> set[str]:
        writes = [Put(session(number)) for number in range(rows)]
        return {text for text, _ in statements_of(writes, [], RING)}

    numbers = [*range(1, 40), *range(40, 2 * MOST, 37)]
    assert len(set[str]().union(*map(texts, numbers))) <= 21


def test_more_than_one_statement_takes_is_one_transaction(db: sqlite3.Connection) -> None:
    writes = [Put(session(number)) for number in range(MOST + 1)]
    said = run(db, statements_of(writes, [], RING))
    assert [each.split(" (")[0] for each in said] == [
        "BEGIN IMMEDIATE",
        "INSERT INTO batch",
        "INSERT INTO batch",
        "COMMIT",
    ]


def test_what_a_statement_is_filled_up_with_writes_nothing(db: sqlite3.Connection) -> None:
    for rows in (1, 17, MOST - 1, MOST + 1):
        writes = [Put(session(number)) for number in range(rows)]
        run(db, statements_of(writes, [], RING))
        assert count(db, "sessions") == rows
        run(db, statements_of([Drop(each.row) for each in writes], [], RING))
        assert count(db, "sessions") == 0


@pytest.mark.parametrize("rows", [3, MOST + 3])
def test_a_number_that_was_used_takes_all_of_it_back(db: sqlite3.Connection, rows: int) -> None:
    run(db, statements_of([], [opened_event(5)], RING))
    writes = [Put(session(number)) for number in range(rows)]
    with pytest.raises(sqlite3.IntegrityError):
        run(db, statements_of(writes, [opened_event(6), opened_event(5)], RING))
    assert not db.in_transaction
    assert (count(db, "sessions"), count(db, "events")) == (0, 1)
    (last,) = db.execute("SELECT seq FROM sqlite_sequence").fetchone()
    assert last == 5


def test_numbers_are_never_used_again(db: sqlite3.Connection) -> None:
    run(db, statements_of([], [opened_event(7), opened_event(9)], RING))
    db.execute("DELETE FROM events")
    assert db.execute(QUERIES["last_sequence"]).fetchone() == (9,)


def test_a_row_that_is_there_is_replaced_though_the_statement_says_nothing_of_it(
    db: sqlite3.Connection,
) -> None:
    run(db, statements_of([Put(session(1))], [], RING))
    run(db, statements_of([Put(session(1, handle=77)), Put(session(2))], [], RING))
    assert db.execute("SELECT handle FROM sessions ORDER BY id").fetchall() == [(77,), (2,)]


def test_the_view_and_its_triggers_are_in_no_file(db: sqlite3.Connection) -> None:
    found = db.execute("SELECT count(*) FROM main.sqlite_master WHERE type != 'table'").fetchone()
    (indexes,) = db.execute(
        "SELECT count(*) FROM main.sqlite_master WHERE type = 'index'"
    ).fetchone()
    assert found == (indexes,)
    assert db.execute("PRAGMA temp_store").fetchone() == (2,)  # MEMORY
