"""Whether subscribers' plugins are there and accept their settings: each tried in a process."""

from collections.abc import Sequence
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


async def problems_of(
    configs: Sequence[SubscriberConfig], *, start: Start, clock: Clock
) -> list[tuple[SubscriberConfig, list[str]]]:
    """Return what is wrong with each, a line for each problem, with the keys' names.

    Each is tried in a process of its own for 10 seconds. One that hangs or crashes is only warned
    of: what it says of itself next time may be something else.
    """
    found = [(config, list[str]()) for config in configs]
    async with anyio.create_task_group() as tasks:
        for config, problems in found:
            tasks.start_soon(_check, config, problems, start, clock)
    return found


async def _check(config: SubscriberConfig, problems: list[str], start: Start, clock: Clock) -> None:
    where = f"subscriber[{config.name}]"
    try:
        await anyio.to_thread.run_sync(entry_points.named, entry_points.SUBSCRIBERS, config.plugin)
    except ConfigError as missing:
        problems.append(f"{where}.plugin: {missing}")
        return
    match await _tried(config, start, clock):
        case Ready():
            pass
        case Refused(problems=found, are_keys=are_keys):
            divider = "." if are_keys else ": "
            problems += [f"{where}{divider}{one_line(each)}" for each in found]
        case Gone(cause):
            log.warning("subscriber's check failed", subscriber=config.name, error=cause)
        case None:
            log.warning("subscriber's check hangs", subscriber=config.name)
        case _:
            log.warning("subscriber's check talks nonsense", subscriber=config.name)


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
