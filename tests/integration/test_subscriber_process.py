"""A subscriber's process as the daemon holds it: a real one, started from this test."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from structlog.testing import capture_logs

from sessiond.clock import SystemClock
from sessiond.core.events import LoginRefused
from sessiond.extensions.subscribers.subprocesses import Gone, NotStartedError, Start, starter
from sessiond.extensions.subscribers.wire import Batch, Failed, Ready, Received, Refused, Setup
from tests.fakes import START
from tests.subscribed import Listening, python_path

pytestmark = pytest.mark.anyio


@pytest.fixture
def listening(folder: Path) -> Iterator[Listening]:
    with Listening(folder / "told") as listening:
        yield listening


@pytest.fixture
def start() -> Start:
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": python_path(), "HIDDEN": "x"}
    return starter(environ, SystemClock())


def setup(plugin: str, **settings: Any) -> Setup:
    return Setup(plugin=plugin, name="audit", settings=settings, memory=2**29)


def batch(*sequences: int) -> Batch:
    return Batch(
        events=tuple(
            LoginRefused(sequence=each, at=START, reason="expired", count=1) for each in sequences
        )
    )


async def test_a_process_is_fed_and_stopped_in_good_order(
    start: Start, listening: Listening
) -> None:
    async with start(setup("teller", path=str(listening.path))) as child:
        assert await child.receive() == Ready()
        await child.send(batch(1, 2))
        assert await child.receive() == Received(sequence=2)
        await child.stop()
        assert await child.receive() == Gone("it ended with exit code 0")
        assert listening.wait("sequence", 2) == [1, 2]
        assert listening.wait("state", 2) == ["started", "stopped"]
        await child.send(batch(3))  # to nobody, which is no error


async def test_what_it_prints_is_in_the_log_and_its_error_has_its_place(
    start: Start, listening: Listening
) -> None:
    plugin = setup("naughty", path=str(listening.path), how="raises")
    async with start(plugin) as child:
        assert await child.receive() == Ready()
        await child.send(batch(1))
        failed = await child.receive()
        assert isinstance(failed, Failed)
        assert failed.error.startswith("ValueError: not today (")
        assert "sample_subscribers.py:" in failed.error


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ("crashes", "it ended with exit code 3"),
        ("babbles", "it talks nonsense: no message: "),
        ("boasts", "it talks nonsense: a frame of 2147483647 bytes"),
    ],
)
async def test_one_that_dies_or_talks_nonsense_is_gone(
    start: Start, listening: Listening, how: str, error: str
) -> None:
    async with start(setup("naughty", path=str(listening.path), how=how)) as child:
        assert await child.receive() == Ready()
        await child.send(batch(1))
        gone = await child.receive()
        assert isinstance(gone, Gone)
        assert gone.error.startswith(error)


async def test_one_that_is_killed_says_by_which_signal(start: Start, listening: Listening) -> None:
    async with start(setup("teller", path=str(listening.path))) as child:
        assert await child.receive() == Ready()
        os.kill(child.pid, signal.SIGTERM)  # is not what ends it: stopping is the daemon's word
        await child.send(batch(1))
        assert await child.receive() == Received(sequence=1)
        os.kill(child.pid, signal.SIGSEGV)
        assert await child.receive() == Gone("it was ended by SIGSEGV")


async def test_whatever_it_does_it_has_ended_with_the_block(
    start: Start, listening: Listening
) -> None:
    async with start(setup("naughty", path=str(listening.path), how="blocks")) as child:
        assert await child.receive() == Ready()
        await child.send(batch(1))
        await anyio.to_thread.run_sync(listening.wait, "tried", 1)
        pid = child.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_refusal_comes_from_the_plugins_own_settings(start: Start) -> None:
    async with start(setup("teller")) as child:
        assert await child.receive() == Refused(problems=("path is missing",), are_keys=True)


async def test_its_last_words_are_logged_when_it_fails_to_start(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    async with start(setup("teller")) as child:
        assert await child.receive() == Gone("it ended with exit code 1")
    monkeypatch.setattr(sys, "executable", "/bin/echo")
    with capture_logs() as logs:
        async with start(setup("teller")) as child:
            assert await child.receive() == Gone("it ended with exit code 0")
    assert [each["line"] for each in logs] == ["-P -m sessiond subscriber audit"]


async def test_a_program_that_is_not_there_is_an_error_of_its_own(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(NotStartedError, match="No such file"):
        async with start(setup("teller")):
            pass
