"""Whatever a subscriber's process and the disk do, every event is received, set aside, or told."""

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sessiond.core.events import Event
from sessiond.extensions.subscribers.subprocesses import Gone
from sessiond.extensions.subscribers.wire import Failed, Ready, Received
from tests.fakes import idle
from tests.unit.extensions.subscribers.fed import AUDIT, Answer, Children, Fed, fed

pytestmark = pytest.mark.anyio

FIRST, MORE = 6, 4  # events: at once, and a little later
ANSWERS = st.sampled_from(
    ["takes", "fails", "fails later", "outage", "dies", "hangs", "lies", "reload", "disk"]
)


class Moody:
    """A plugin that answers as it was told to, and takes everything after that."""

    def __init__(self, moods: Sequence[str]) -> None:
        self.moods = list(moods)
        self.taken: list[int] = []
        self.running: Fed | None = None
        self.reloads = 0

    def __call__(self, events: Sequence[Event]) -> Answer:
        numbers = [each.sequence for each in events]
        match self.moods.pop(0) if self.moods else "takes":
            case "fails":
                return Failed(sequence=numbers[0], error="no")
            case "fails later":
                self.taken += numbers[:-1]
                return Failed(sequence=numbers[-1], error="no")
            case "outage":
                return Failed(sequence=numbers[0], error="away", is_outage=True)
            case "dies":
                return Gone("it was ended by SIGKILL")
            case "hangs":
                return None
            case "lies":
                return Received(sequence=numbers[-1] + 1)
            case "reload":
                self.reload()
            case "disk":
                assert self.running is not None
                self.running.store.failing += 2
            case _:
                pass
        self.taken += numbers
        return Received(sequence=numbers[-1])

    def reload(self) -> None:
        assert self.running is not None
        self.reloads += 1
        changed = msgspec.structs.replace(AUDIT, deadline=5.0 + self.reloads)
        self.running.tasks.start_soon(self.running.want, changed)


@settings(max_examples=30)
@given(moods=st.lists(ANSWERS, max_size=12), batch=st.integers(1, 4))
async def test_every_event_is_received_in_order_or_set_aside(moods: list[str], batch: int) -> None:
    plugin = Moody(moods)
    children = Children(plugin, batch=batch)
    children.ready = Ready(batch=batch)
    async with fed(children=children) as running:
        plugin.running = running
        await running.happen(FIRST)
        await running.clock.advance(3)
        running.store.failing = 0
        await running.happen(MORE)
        for _ in range(80):
            await running.clock.advance(10)
        await idle()
        last = FIRST + MORE
        firsts = list(dict.fromkeys(plugin.taken))
        aside = {each.event.sequence for each in running.set_aside}
        assert firsts == sorted(firsts)
        assert set(firsts) | aside == set(range(1, last + 1))
        assert running.cursors[-1] == last
