"""The guide for plugin authors, made and run as it stands, in an empty directory."""

import os
import re
import signal
import socket
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.integration.guide import Block, blocks_of

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "plugins.md"
PORTS = ("8098", "8099")  # of loopback, in the guide
PATIENCE = 30.0  # seconds
LOOKS = 50  # each takes a program's start

_CHANGING = (  # what no two runs print alike
    (re.compile(r"\d+\.\d+s\b"), "#s"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?"), "#time"),
    (re.compile(r'"pid":\d+'), '"pid":#'),
    (re.compile(r"\bpid \d+"), "pid #"),
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "#id"),
    (re.compile(r" {2,}"), "  "),
)


class Program:
    """What the guide starts in a terminal of its own."""

    def __init__(self, command: str, folder: Path, environ: dict[str, str]) -> None:
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._process = subprocess.Popen(
            ["sh", "-ec", f"exec {command}"],
            cwd=folder,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, text: str) -> None:
        """Wait until it has printed this."""
        with self._news:
            found = self._news.wait_for(lambda: text in "".join(self.lines), PATIENCE)
        assert found, f"not printed: {text!r}\n{''.join(self.lines)}"

    def end(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(PATIENCE)
        self._reader.join()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout:
            for line in self._process.stdout:
                with self._news:
                    self.lines.append(line)
                    self._news.notify_all()


class Author:
    """Does what the guide says, in a folder that was empty."""

    def __init__(self, folder: Path, programs: ExitStack) -> None:
        self._folder = folder
        self._programs = programs
        self._running: dict[str, Program] = {}
        self._ran, self._printed = Block("", "", "", "", 0), ""
        self._environ = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "PYTEST_", "COV"))},
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "no_proxy": "127.0.0.1",  # the chat is here; a real one may be beyond a proxy
            "SESSIOND": str(ROOT),
            # What pip would fetch is there already: the tests need no network.
            "PYTHONPATH": sysconfig.get_path("purelib"),
            "PIP_NO_INDEX": "1",
            "PIP_NO_BUILD_ISOLATION": "0",  # so pip spells "no isolation"
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PYTEST_ADDOPTS": "-p no:cacheprovider -p no:schemathesis",
        }

    def do(self, block: Block) -> None:
        """Do what a block is for; an error names its line."""
        where = f"docs/plugins.md:{block.line}"
        match block.do:
            case "file":
                path = self._folder / block.what
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(block.text, encoding="utf-8")
            case "run" | "look":
                self._run(block, where)
            case "start":
                program = Program(block.text.strip(), self._folder, self._environ)
                self._programs.callback(program.end)
                self._running[block.what] = program
                program.wait_for(block.until)
            case "prints":
                self._compare(block, where)
            case "printed by":
                self._running[block.what].wait_for(block.text)
            case _:
                raise AssertionError(f"{where}: {block.do!r} is nothing that can be done")

    def _run(self, block: Block, where: str) -> None:
        done = subprocess.run(
            ["sh", "-ec", block.text],
            cwd=self._folder,
            env=self._environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )
        assert done.returncode == int(block.what or 0), f"{where}\n{done.stdout}"
        self._ran, self._printed = block, done.stdout

    def _compare(self, block: Block, where: str) -> None:
        """Compare with what was printed last; who only looks may have to look again."""
        expected = same(block.text.replace("$PWD", str(self._folder)))
        for _ in range(LOOKS):
            if same(self._printed) == expected or self._ran.do != "look":
                break
            self._run(self._ran, where)
        assert same(self._printed) == expected, where


def same(text: str) -> str:
    """Return a text without what changes from run to run."""
    for pattern, instead in _CHANGING:
        text = pattern.sub(instead, text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


@contextmanager
def free_ports(count: int) -> Iterator[list[str]]:
    """Give ports of loopback that nobody listens at."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        ports = [str(each.getsockname()[1]) for each in sockets]
    yield ports


@pytest.mark.heavy
@pytest.mark.timeout(300)  # it makes an environment and installs into it
def test_the_tutorial_ends_with_a_revocation_in_the_chat(folder: Path) -> None:
    blocks = list(blocks_of(GUIDE))
    assert {block.do for block in blocks} == {
        "file",
        "run",
        "look",
        "start",
        "prints",
        "printed by",
    }
    with free_ports(len(PORTS)) as ports, ExitStack() as programs:
        author = Author(folder, programs)
        for block in blocks:
            text = block.text
            for shown, free in zip(PORTS, ports, strict=True):
                text = text.replace(shown, free)
            author.do(Block(block.do, block.what, block.until, text, block.line))


def test_every_file_of_the_tutorial_is_tidy() -> None:
    files = [block for block in blocks_of(GUIDE) if block.do == "file"]
    assert files
    for block in files:
        compile(block.text, f"docs/plugins.md:{block.line}", "exec")
        assert max(map(len, block.text.splitlines())) <= 100
