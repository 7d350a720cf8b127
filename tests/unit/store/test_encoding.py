"""A commit that is large is encoded in pieces, and comes to the same."""

import asyncio

import pytest

from sessiond.core.events import Event
from sessiond.core.rows import Put, Write
from sessiond.core.secret import Secret
from sessiond.core.stored_value import StoredValue
from sessiond.store.encoding import FEW, PIECE, encoded
from sessiond.store.one_statement import statements_of
from sessiond.store.sealing import KeyRing
from tests.fakes import START, opened_event, session

pytestmark = pytest.mark.anyio
RING = KeyRing({1: bytes(32)})
KIB = 1024


async def turns_while(writes: list[Write]) -> int:
    """Return how many turns others have while it is encoded."""
    had = 0

    async def count() -> None:
        nonlocal had
        while True:
            await asyncio.sleep(0)
            had += 1

    counting = asyncio.create_task(count())
    await encoded(writes, [], RING)
    counting.cancel()
    return had


def value(number: int, size: int) -> Write:
    row = StoredValue(context="c", name=f"v{number}", size=size, written_at=START)
    return Put(row, Secret("x" * size))


def rows(count: int, **members: object) -> list[Write]:
    return [Put(session(number, **members)) for number in range(count)]


async def test_what_is_encoded_in_pieces_is_what_would_be_encoded_at_once() -> None:
    events: list[Event] = [opened_event(number) for number in range(1, 2 * PIECE)]
    writes = rows(2 * PIECE)
    assert await encoded(writes, events, RING) == statements_of(writes, events, RING)


async def test_few_rows_are_encoded_in_one_turn_however_large_they_are() -> None:
    assert await turns_while([value(number, 64 * KIB) for number in range(FEW)]) == 0


async def test_a_batch_of_logins_is_encoded_in_one_turn() -> None:
    assert await turns_while(rows(PIECE // 2)) == 0


@pytest.mark.parametrize(
    "writes",
    [
        rows(4 * PIECE),
        [value(number, 64 * KIB) for number in range(PIECE // 8)],
        rows(PIECE // 8, roles=("r" * KIB,) * 32),
    ],
    ids=["rows", "values", "roles"],
)
async def test_others_have_their_turn_while_much_is_encoded(writes: list[Write]) -> None:
    assert await turns_while(writes) >= 3
