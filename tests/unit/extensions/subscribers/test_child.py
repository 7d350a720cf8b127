"""What a subscriber's process does with what the daemon says, and with what its plugin does."""

import logging
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import msgspec
import pytest
import structlog
from anyio.abc import UNIXSocketStream

from sessiond.api import ConfigError, Event, SettingsError, TryLater, settings_of
from sessiond.extensions import entry_points
from sessiond.extensions.subscribers import child, confinement, wire
from sessiond.extensions.subscribers.wire import (
    Batch,
    Failed,
    FromChild,
    Link,
    Ready,
    Received,
    Refused,
    Setup,
    Stop,
    WireError,
)
from tests.unit.extensions.subscribers.fed import event

pytestmark = pytest.mark.anyio


class Plain:
    """Keeps what happens to it."""

    def __init__(self, done: list[Any], **settings: Any) -> None:
        self.done = done
        done.append(settings)

    def start(self) -> None:
        self.done.append("start")

    def receive(self, each: Event) -> None:
        self.done.append(each.sequence)
        if each.sequence == 13:
            raise ValueError("not\nthis one")

    def stop(self) -> None:
        self.done.append("stop")


class Batches(Plain):
    batch = 5

    async def start(self) -> None:  # type: ignore[override]  # either is allowed
        self.done.append("start")

    async def receive_batch(self, events: Sequence[Event]) -> None:
        self.done.append([each.sequence for each in events])

    async def stop(self) -> None:  # type: ignore[override]
        self.done.append("stop")
        raise OSError("too late")


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the limits that this process would have been given."""
    given: list[int] = []
    monkeypatch.setattr(confinement, "limit_memory", given.append)
    return given


@asynccontextmanager
async def attended(
    monkeypatch: pytest.MonkeyPatch, plugin: Callable[..., Any], *, is_check: bool = False
) -> AsyncIterator[Link[FromChild]]:
    """Run a child with a plugin, set up; the block is the daemon."""
    monkeypatch.setattr(entry_points, "load", lambda group, name: plugin)
    ours, childs = socket.socketpair()
    async with (
        anyio.create_task_group() as tasks,
        await UNIXSocketStream.from_socket(ours) as stream,
    ):
        tasks.start_soon(child._run, childs)
        daemon = wire.daemons_end(stream)
        await daemon.send(
            Setup(plugin="p", name="n", settings={"a": 1}, memory=2**29, is_check=is_check)
        )
        yield daemon


async def test_a_plugin_is_set_up_fed_and_stopped(
    monkeypatch: pytest.MonkeyPatch, limits: list[int]
) -> None:
    done: list[Any] = []
    async with attended(monkeypatch, lambda **keys: Plain(done, **keys)) as daemon:
        assert await daemon.receive() == Ready(batch=1)
        await daemon.send(Batch(events=(event(1),)))
        assert await daemon.receive() == Received(sequence=1)
        await daemon.send(Batch(events=(event(12), event(13), event(14))))
        failed = await daemon.receive()
        assert isinstance(failed, Failed)
        assert failed.sequence == 13
        assert failed.error.startswith("ValueError: not this one (")
        assert failed.error.rpartition("/")[2].startswith("test_child.py:")
        await daemon.send(Stop())
        with pytest.raises(anyio.EndOfStream):
            await daemon.receive()
    assert done == [{"a": 1}, "start", 1, 12, 13, "stop"]
    assert limits == [2**29]


@pytest.mark.usefixtures("limits")
async def test_one_that_takes_batches_gets_them_and_its_last_words_hurt_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[Any] = []
    async with attended(monkeypatch, lambda **keys: Batches(done, **keys)) as daemon:
        assert await daemon.receive() == Ready(batch=5)
        await daemon.send(Batch(events=(event(1), event(2))))
        assert await daemon.receive() == Received(sequence=2)
    assert done == [{"a": 1}, "start", [1, 2], "stop"]  # the daemon is gone: it stops by itself


@pytest.mark.usefixtures("limits")
async def test_a_check_only_makes_the_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[Any] = []
    plugin = lambda **keys: Plain(done, **keys)  # noqa: E731 - as the others
    async with attended(monkeypatch, plugin, is_check=True) as daemon:
        assert await daemon.receive() == Ready(batch=1)
        with pytest.raises(anyio.EndOfStream):
            await daemon.receive()
    assert done == [{"a": 1}]


class Strict(msgspec.Struct):
    path: str


def raising(error: Exception) -> Callable[..., Any]:
    def plugin(**_: Any) -> Any:
        raise error

    return plugin


@pytest.mark.usefixtures("limits")
@pytest.mark.parametrize(
    ("plugin", "problems", "are_keys"),
    [
        (lambda **keys: settings_of(Strict, keys), ("a is unknown", "path is missing"), True),
        (raising(SettingsError("b is no")), ("b is no",), True),
        (raising(ConfigError("not\nso")), ("not so",), False),
    ],
)
async def test_a_refusal_names_the_keys(
    monkeypatch: pytest.MonkeyPatch,
    plugin: Callable[..., Any],
    problems: tuple[str, ...],
    are_keys: bool,
) -> None:
    async with attended(monkeypatch, plugin) as daemon:
        assert await daemon.receive() == Refused(problems=problems, are_keys=are_keys)


@pytest.mark.usefixtures("limits")
@pytest.mark.parametrize(
    ("plugin", "problem"),
    [
        (lambda: None, "TypeError: "),
        (lambda a: object(), "TypeError: object has neither receive nor receive_batch"),
        (lambda a: OddBatches(a), "TypeError: batch is '1', must be a number of events"),
        (raising(ZeroDivisionError()), "ZeroDivisionError ("),
        (raising(ValueError("x" * 10_000)), "ValueError: xxx"),
    ],
)
async def test_whatever_it_raises_while_it_is_made_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, plugin: Callable[..., Any], problem: str
) -> None:
    async with attended(monkeypatch, plugin) as daemon:
        refused = await daemon.receive()
        assert isinstance(refused, Refused)
        assert refused.problems[0].startswith(problem)


class OddBatches:
    def __init__(self, a: int) -> None:
        self.batch = str(a)

    def receive_batch(self, events: Sequence[Event]) -> None: ...


async def test_a_daemon_of_another_version_is_refused() -> None:
    ours, childs = socket.socketpair()
    async with (
        await UNIXSocketStream.from_socket(ours) as here,
        await UNIXSocketStream.from_socket(childs) as there,
    ):
        await wire.daemons_end(here).send(
            Setup(version=2, plugin="p", name="n", settings={}, memory=1)
        )
        with pytest.raises(WireError):
            await child.attend(wire.childs_end(there))


async def test_a_plain_method_may_return_what_is_awaited() -> None:
    done: list[int] = []

    class Both:
        def receive(self, each: Event) -> Any:
            async def later() -> None:
                done.append(each.sequence)

            return later()

    assert await child.offered(Both(), [event(4)]) == Received(sequence=4)
    assert done == [4]


async def test_a_plugin_says_that_no_event_is_to_blame() -> None:
    class Away:
        def receive(self, event: Event) -> None:
            raise TryLater("disk full")

    failed = await child.offered(Away(), [event(4)])
    assert isinstance(failed, Failed)
    assert (failed.sequence, failed.is_outage) == (4, True)


def test_an_error_that_was_never_raised_has_no_place() -> None:
    assert child.error_text(ValueError("no")) == "ValueError: no"
    assert child.error_text(ValueError()) == "ValueError"


def test_batches_have_a_limit_of_ours() -> None:
    class Greedy(OddBatches):
        def __init__(self) -> None:
            self.batch = 10**9  # type: ignore[assignment]  # which others may get wrong too

    assert child.batch_of(Greedy()) == wire.MAX_BATCH


def test_logging_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    before, level = list(logging.getLogger().handlers), logging.getLogger().level
    configured = structlog.get_config()
    logging.getLogger().handlers.clear()
    try:
        child._log_to_stderr()
        logging.getLogger("plugin").info("one %s", "line")
        structlog.get_logger().warning("another", number=2)
    finally:
        logging.getLogger().handlers[:] = before
        logging.getLogger().setLevel(level)
        structlog.configure(**configured)
    assert capsys.readouterr().err.splitlines() == [
        "INFO plugin: one line",
        "level='warning' event='another' number=2",
    ]


def test_nobody_but_the_daemon_starts_it() -> None:
    found = subprocess.run(
        [sys.executable, "-m", "sessiond", "subscriber", "audit"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert found.returncode == os.EX_CONFIG
    assert "leave it to `sessiond run`" in found.stderr
