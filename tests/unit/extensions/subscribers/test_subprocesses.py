"""A subscriber's process as the daemon holds it: real processes, which are scripts of the shell."""

import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from structlog.testing import capture_logs

from sessiond.extensions.subscribers.subprocesses import Child, Gone, NotStartedError, starter
from sessiond.extensions.subscribers.wire import Ready, Setup
from tests.fakes import FakeClock

pytestmark = pytest.mark.anyio

READY = r"""printf '\000\000\000\023{"message":"ready"}' >&0"""
SETUP = Setup(plugin="audit", name="trail", settings={}, memory=1)

Started = Callable[[str], AbstractAsyncContextManager[Child]]


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Started:
    """Start a script instead of `sessiond subscriber`."""

    @asynccontextmanager
    async def start(script: str) -> AsyncIterator[Child]:
        program = tmp_path / "program"
        program.write_text(script if script.startswith("#!") else f"#!/bin/sh\n{script}\n")
        program.chmod(0o700)
        monkeypatch.setattr(sys, "executable", str(program))
        async with starter({"PATH": os.environ["PATH"]}, FakeClock())(SETUP) as child:
            yield child

    return start


async def test_it_is_started_by_its_name_and_what_it_says_and_prints_is_heard(
    started: Started,
) -> None:
    with capture_logs() as logs:
        async with started(f'{READY}\necho "$@"\necho amiss >&2\nexit 3') as child:
            assert child.pid > 1
            assert await child.receive() == Ready()
            assert await child.receive() == Gone("it ended with exit code 3")
    assert [(each["subscriber"], each["line"]) for each in logs] == [
        ("trail", "-P -m sessiond subscriber trail"),
        ("trail", "amiss"),
    ]


@pytest.mark.parametrize(
    ("script", "end"),
    [
        ("kill -KILL $$", "it was ended by SIGKILL"),
        ("kill -40 $$", "it was ended by signal 40"),
        ("printf AAAA >&0; sleep 100", "it talks nonsense: a frame of 1094795585 bytes"),
        ("exec <&- ; sleep 100", "it closed its end of the wire"),
    ],
)
async def test_how_it_ends_is_told(started: Started, script: str, end: str) -> None:
    async with started(script) as child:
        gone = await child.receive()
    assert isinstance(gone, Gone)
    assert gone.error.startswith(end)


async def test_one_that_is_told_to_stop_has_time_to(started: Started) -> None:
    program = """
        import os, sys
        heard = b""
        while b'"stop"' not in heard:
            heard += os.read(0, 4096)
        sys.stdout.write("closed")
    """.replace("\n        ", "\n")
    with capture_logs() as logs:
        async with started(f"#!{os.path.realpath(sys.executable)} -IS{program}") as child:
            await child.stop()
            assert isinstance(await child.receive(), Gone)
    assert [each["line"] for each in logs] == ["closed"]


async def test_what_is_sent_to_one_that_has_gone_is_lost(started: Started) -> None:
    async with started("exit 0") as child:
        assert await child.receive() == Gone("it ended with exit code 0")
        await child.stop()


async def test_one_that_cannot_be_started_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(NotStartedError, match="it cannot be started: No such file or directory"):
        async with starter({}, FakeClock())(SETUP):
            pass


@pytest.mark.parametrize("then", ["wait", "exit 0", "exec <&-; wait"])
async def test_whatever_it_has_started_ends_with_it(
    started: Started, tmp_path: Path, then: str
) -> None:
    """Else one that crashes and comes back leaves more and more behind."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def closed() -> bytes:
        return pipe.read_bytes()  # until nobody holds it open for writing any more

    async with anyio.create_task_group() as tasks:
        with anyio.fail_after(20):
            read = anyio.Event()

            async def reading() -> None:
                await anyio.to_thread.run_sync(closed, abandon_on_cancel=True)
                read.set()

            tasks.start_soon(reading)
            script = f"exec 9>{pipe}\nsleep 100 >/dev/null 2>&1 </dev/null &\n{READY}\n{then}"
            async with started(script) as child:
                assert await child.receive() == Ready()
                if then != "wait":
                    assert isinstance(await child.receive(), Gone)
                assert not read.is_set()
            await read.wait()
