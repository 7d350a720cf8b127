"""Whose messages are read next: no turn of the loop takes long, and nobody is left out."""

import asyncio  # noqa: TID251 - what is put off is called by the loop, without a task
from collections.abc import Callable, Hashable
from typing import Protocol

from sessiond.core.round_robin import RoundRobin

# What is decoded and begun in one turn of the loop, and one message more. A byte of kdb+ IPC takes
# 0.2 microseconds at worst (of symbols), and a call some hundred: so a turn has few milliseconds.
A_TURN = 16 << 10  # bytes
A_CALL = 1 << 10  # bytes that a message counts as beside its own


class Reader(Protocol):
    """A connection on which there are messages to read."""

    @property
    def uid(self) -> int:
        """Whose it is."""
        ...

    def read_on(self) -> None:
        """Read some of them, as far as there is room; wait again where more are left."""
        ...


class Room(Protocol):
    """Where what is read goes: the table."""

    @property
    def is_crowded(self) -> bool:
        """Whether nothing more is to be read now."""
        ...

    def when_room(self, resume: Callable[[], object]) -> None:
        """Call once, as soon as it is not crowded."""
        ...


class Turns:
    """How much may be read in this turn of the loop, by all connections together.

    Those that have to wait are served round robin: one user after the other, and within one
    user's turns one connection after the other.
    """

    def __init__(self, room: Room) -> None:
        self._room = room
        self._left = A_TURN
        self._waiting = RoundRobin[Reader]()
        self._who: dict[Reader, Hashable] = {}
        self._is_coming = False  # the next turn

    @property
    def has_room(self) -> bool:
        """Whether one more message may be read now."""
        return self._left > 0 and not self.are_held_up

    @property
    def are_held_up(self) -> bool:
        """Whether nobody reads, however long that takes."""
        return self._room.is_crowded

    def spend(self, size: int) -> None:
        """Take note that a message of so many bytes is read."""
        self._left -= A_CALL + size
        if self._left <= 0:
            self._call_soon()

    def wait(self, reader: Reader) -> None:
        """Let a connection read on in its turn."""
        if reader not in self._who:
            self._who[reader] = reader.uid
            self._waiting.add(reader, owner=reader.uid)
        self._call_soon()

    def leave(self, reader: Reader) -> None:
        """Wait no more."""
        if reader in self._who:
            self._waiting.remove(reader, owner=self._who.pop(reader))

    def _call_soon(self) -> None:
        if not self._is_coming:
            self._is_coming = True
            asyncio.get_running_loop().call_soon(self._begin)

    def _begin(self) -> None:
        self._is_coming = False
        self._left = A_TURN
        if self._room.is_crowded:
            self._is_coming = True
            self._room.when_room(self._begin)
            return
        for _ in range(len(self._waiting)):  # who comes to wait meanwhile does so till the next
            if not self.has_room or not self._waiting:
                break
            reader = self._waiting.take()
            del self._who[reader]
            reader.read_on()
        if self._waiting:
            self._call_soon()
