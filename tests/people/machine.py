"""A person's machine: a home of its own, and `sessiond-login` in it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from tests import canary

PROGRAM = str(Path(sys.executable).with_name("sessiond-login"))
PATIENCE = 50.0  # seconds for a program to end
SECRET_MEMBERS = ("token", "refresh", "password")  # of what `token --json` prints


class Running:
    """The program, at work."""

    def __init__(self, machine: "Machine", arguments: Sequence[str]) -> None:
        self._machine = machine
        self._process = subprocess.Popen(
            [*machine.program, *arguments],
            env=machine.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # no terminal
        )
        self._gives_tokens = "token" in arguments

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.is_running:
            self.kill()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def look(self) -> None:
        """See what every user of the machine, or this one, can see of it now."""
        for pid in (self.pid, *children(self.pid)):
            for part in ("cmdline", "environ"):
                try:
                    self._machine.seen.append(Path(f"/proc/{pid}/{part}").read_bytes())
                except OSError:  # it has ended
                    continue

    def line(self) -> str:
        """Wait for the next line that it tells the person, and return it."""
        assert self._process.stderr is not None
        line = self._process.stderr.readline()
        self._machine.seen.append(line.encode())
        return line

    def end(self) -> tuple[int, str, str]:
        """Wait until it has ended; return its exit code and what it wrote to its two outputs."""
        out, err = self._process.communicate(timeout=PATIENCE)
        print(err)  # pytest shows it where a test fails
        assert "Traceback" not in err
        self._machine.seen.append(err.encode())
        if not self._gives_tokens:
            self._machine.seen.append(out.encode())
        return self._process.returncode, out, err

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """End it as kill -9 does."""
        self._process.kill()
        self._process.communicate()


def children(pid: int) -> Iterator[int]:
    """Yield the processes that a process has started, and theirs."""
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            yield child
            yield from children(child)


class Machine:
    """Where a person has a home, a browser maybe, and the program."""

    def __init__(self, home: Path, *, browser: Path | None = None) -> None:
        """Move in.

        Args:
            home: A folder that is not there yet.
            browser: What opens pages before the person; None: there is no display.
        """
        home.mkdir()
        self.home = home
        self.environment = {
            name: os.environ[name]
            for name in ("PATH", "http_proxy", "https_proxy", "all_proxy")
            if name in os.environ
        }
        runtime = home / "run"
        runtime.mkdir(mode=0o700)
        self.environment |= {"HOME": str(home), "XDG_RUNTIME_DIR": str(runtime), "LANG": "C.UTF-8"}
        if browser is not None:
            self.environment["BROWSER"] = str(browser)
        self.profiles = home / ".config/sessiond/login.toml"
        self.kept = home / ".local/state/sessiond"  # without a keyring
        self.program = [PROGRAM]
        self.seen: list[bytes] = []  # what whoever looks can see, tokens that were asked for apart

    @property
    def variables(self) -> list[str]:
        """The environment, as env(1) takes it."""
        return [f"{name}={value}" for name, value in self.environment.items()]

    def has_profiles(self, text: str) -> None:
        """Write the profiles' file."""
        self.profiles.parent.mkdir(parents=True, exist_ok=True)
        self.profiles.write_text(text)

    def start(self, *arguments: str) -> Running:
        """Start the program with a pipe for each of its outputs, and no terminal."""
        return Running(self, arguments)

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run the program to its end; return its exit code and what it wrote."""
        with self.start(*arguments) as program:
            return program.end()

    def with_fault(self, statement: str) -> None:
        """Have the program do this before it begins: a clock that runs, or a fault that strikes."""
        begin = f"{statement}\nfrom sessiond_login.cli import main\nmain()"
        self.program = [sys.executable, "-c", begin]

    def is_read_only(self) -> None:
        """Take the right away to write anywhere at home."""
        for folder in (self.home, *self.home.rglob("*")):
            if folder.is_dir():
                folder.chmod(0o555)
        if os.geteuid() == 0:  # else root may all the same
            self.program = ["setpriv", "--bounding-set=-dac_override", *self.program]

    def is_later(self, seconds: float) -> None:
        """Have the program believe that what it has kept is so much older."""
        for file in self.kept.glob("tokens-*.json"):
            record = json.loads(file.read_text())
            file.write_text(json.dumps(record | {"expires": record["expires"] - seconds}))

    def token(self) -> dict[str, Any]:
        """Return what a client is given at once, to somebody who is signed in."""
        return given(*self.run("token", "--json"))


def given(code: int, out: str, err: str) -> dict[str, Any]:
    """Return what `token --json` has given, which the canary looks for from now on."""
    assert code == 0, err
    answer: dict[str, Any] = json.loads(out)
    for name in SECRET_MEMBERS:
        for part in answer[name].split(";"):
            canary.remember(part, name)
    return answer


def for_q(token: dict[str, Any]) -> tuple[str, str]:
    """Return what a kdb+ client takes: the name and the password."""
    return token["user"], token["password"]
