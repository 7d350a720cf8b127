"""Whether subscribers' plugins are there and accept their settings: each tried in a process."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import anyio
import anyio.to_thread
import structlog

from sessiond.clock import Clock
from sessiond.config import SubscriberConfig
from sessiond.core.errors import ConfigError
from sessiond.extensions import entry_points
from sessiond.extensions.subscribers.runner import setup_of
from sessiond.extensions.subscribers.subprocesses import Gone, NotStartedError, Start
from sessiond.extensions.subscribers.wire import FromChild, Ready, Refused, one_line
from sessiond.racing import first

CHECK_WITHIN = 10.0  # seconds

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of one table's check. Nothing in either list: its plugin accepts it."""

    config: SubscriberConfig
    problems: list[str] = field(default_factory=list)  # wrong; a line each, with the key's name
    doubts: list[str] = field(default_factory=list)  # why nothing is known of it; the same


async def check_each(
    configs: Sequence[SubscriberConfig], *, start: Start, clock: Clock
) -> list[Checked]:
    """Return what is wrong with each.

    Each is tried in a process of its own for 10 seconds. One that hangs or crashes is only warned
    of: what it says of itself next time may be something else.
    """
    found = [Checked(config) for config in configs]
    async with anyio.create_task_group() as tasks:
        for each in found:
            tasks.start_soon(_check, each, start, clock)
    return found


async def _check(checked: Checked, start: Start, clock: Clock) -> None:
    config = checked.config
    where = f"subscriber[{config.name}]"
    try:
        await anyio.to_thread.run_sync(entry_points.named, entry_points.SUBSCRIBERS, config.plugin)
    except ConfigError as missing:
        checked.problems.append(f"{where}.plugin: {missing}")
        return
    match await _tried(config, start, clock):
        case Ready():
            pass
        case Refused(problems=found, are_keys=are_keys):
            divider = "." if are_keys else ": "
            checked.problems.extend(f"{where}{divider}{one_line(each)}" for each in found)
        case Gone(cause):
            log.warning("subscriber's check failed", subscriber=config.name, error=cause)
            checked.doubts.append(f"{where} could not be tried: {cause}")
        case None:
            log.warning("subscriber's check hangs", subscriber=config.name)
            checked.doubts.append(
                f"{where} could not be tried: it was not made within {CHECK_WITHIN:g} seconds"
            )
        case _:
            log.warning("subscriber's check talks nonsense", subscriber=config.name)
            checked.doubts.append(f"{where} could not be tried: it speaks another protocol")


async def _tried(config: SubscriberConfig, start: Start, clock: Clock) -> FromChild | Gone | None:
    heard: list[FromChild | Gone] = []
    try:
        async with start(setup_of(config, is_check=True)) as child:

            async def hear() -> None:
                heard.append(await child.receive())

            await first(hear, partial(clock.sleep, CHECK_WITHIN))
    except NotStartedError as error:
        return Gone(str(error))
    return heard[0] if heard else None
