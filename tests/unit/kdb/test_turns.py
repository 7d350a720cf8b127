"""How much is read in one turn of the loop, and who is next."""

from collections.abc import Callable

import anyio.lowlevel
import pytest

from sessiond.kdb.turns import A_CALL, A_TURN, Turns
from tests.fakes import idle

pytestmark = pytest.mark.anyio


class Room:
    """Fulfils `Room`."""

    def __init__(self) -> None:
        self.is_crowded = False
        self.resumes = list[Callable[[], object]]()

    def when_room(self, resume: Callable[[], object]) -> None:
        self.resumes.append(resume)


class Reading:
    """Fulfils `Reader`: has so many messages to read, of one size, and reads one at a time."""

    def __init__(self, turns: Turns, uid: int, name: str, read: list[str]) -> None:
        self.uid = uid
        self._turns, self._name, self._read = turns, name, read
        self.left = 0

    def has(self, left: int) -> None:
        self.left = left
        self._turns.wait(self)

    def read_on(self) -> None:
        self._turns.spend(A_TURN)
        self._read.append(self._name)
        self.left -= 1
        if self.left:
            self._turns.wait(self)


async def test_users_have_their_turns_one_after_the_other_and_so_have_their_connections() -> None:
    turns, read = Turns(Room()), list[str]()
    crowd = [Reading(turns, 500, f"alice {number}", read) for number in range(3)]
    bob = Reading(turns, 501, "bob", read)
    for each in crowd:
        each.has(2)
    bob.has(2)
    await idle()
    assert read[:4] == ["alice 0", "bob", "alice 1", "bob"]
    assert read[4:] == ["alice 2", "alice 0", "alice 1", "alice 2"]


async def test_in_a_turn_so_much_is_read_and_one_message_more() -> None:
    turns, read = Turns(Room()), list[str]()
    reader = Reading(turns, 500, "x", read)
    reader.has(5)
    for number in range(5):
        await anyio.lowlevel.checkpoint()
        assert len(read) <= number + 2
    await idle()
    assert len(read) == 5
    turns.spend(A_TURN - A_CALL - 1)
    room = [turns.has_room]
    turns.spend(0)
    room.append(turns.has_room)
    await idle()
    assert [*room, turns.has_room] == [True, False, True]


async def test_while_the_table_is_crowded_nobody_reads() -> None:
    room, read = Room(), list[str]()
    turns = Turns(room)
    room.is_crowded = True
    reader = Reading(turns, 500, "x", read)
    reader.has(1)
    await idle()
    assert (turns.has_room, read, len(room.resumes)) == (False, [], 1)  # asked once
    Reading(turns, 501, "y", read).has(1)
    await idle()
    assert len(room.resumes) == 1
    room.is_crowded = False
    room.resumes[0]()
    await idle()
    assert read == ["x", "y"]


async def test_who_leaves_is_not_served() -> None:
    turns, read = Turns(Room()), list[str]()
    reader = Reading(turns, 500, "x", read)
    reader.has(1)
    turns.wait(reader)  # twice is once
    turns.leave(reader)
    turns.leave(reader)
    await idle()
    assert read == []
