"""What keeps the contract of a subscriber passes, and each break of it is found."""

from typing import Any

import anyio
import pytest
from msgspec import Struct

from sessiond.api import Event, Gap, SessionRevoked, settings_of
from sessiond.testing import check_subscriber

pytestmark = pytest.mark.anyio


class Settings(Struct, frozen=True, kw_only=True):
    word: str
    number: int = 1


class Subscriber:
    """Does everything right."""

    def __init__(self, **keys: Any) -> None:
        settings_of(Settings, keys)
        self.is_started = False

    async def start(self) -> None:
        self.is_started = True

    async def receive(self, event: Event) -> None:
        await anyio.lowlevel.checkpoint()
        assert self.is_started

    async def stop(self) -> None:
        self.is_started = False


class Batching:
    batch = 5

    def __init__(self, **keys: Any) -> None:
        settings_of(Settings, keys)

    async def receive_batch(self, events: list[Event]) -> None:
        await anyio.lowlevel.checkpoint()


class Plain:
    def __init__(self, **keys: Any) -> None:
        settings_of(Settings, keys)

    def receive(self, event: Event) -> None:
        pass


@pytest.mark.parametrize("entry", [Subscriber, Batching, Plain])
async def test_a_subscriber_that_keeps_its_contract_passes(entry: Any) -> None:
    await check_subscriber(entry, {"word": "x", "number": 2})


class NoGaps(Subscriber):
    async def receive(self, event: Event) -> None:
        if isinstance(event, Gap):
            raise KeyError("session")


class OnlyOnce(Subscriber):
    seen: set[int]

    async def receive(self, event: Event) -> None:
        if isinstance(event, SessionRevoked):
            if event.sequence in self.seen:
                raise ValueError("seen before")
            self.seen.add(event.sequence)


class Swallows(Subscriber):
    async def receive(self, event: Event) -> None:
        try:
            await anyio.lowlevel.checkpoint()
        except anyio.get_cancelled_exc_class() as error:
            raise ValueError("cut") from error


@pytest.mark.parametrize(
    ("entry", "broken"),
    [
        (NoGaps, "event gap was not received: KeyError"),
        (OnlyOnce, r"event session\.revoked was not received: ValueError: seen before"),
        (Swallows, "let cancellation through"),
    ],
)
async def test_each_break_of_a_subscribers_contract_is_found(entry: Any, broken: str) -> None:
    OnlyOnce.seen = set()
    with pytest.raises(AssertionError, match=broken):
        await check_subscriber(entry, {"word": "x"})


async def test_a_subscriber_that_leaves_an_event_behind_is_found() -> None:
    class Late(Plain):
        batch = 2

        async def receive_batch(self, events: list[Event]) -> None:
            await anyio.sleep_forever()

    with pytest.raises(AssertionError, match=r"not received when sent: session\.opened"):
        await check_subscriber(Late, {"word": "x"}, patience=0)
