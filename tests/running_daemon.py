"""The daemon as a running process, with a configuration of the test's."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Protocol, Self

from tests.warm_start import WarmProcess, WarmStart

DAEMON = ("-m", "sessiond", "run", "--config")
READY_WITHIN = 30.0  # seconds
_ports = count(20000 + os.getpid() % 20000)


class Issuer(Protocol):
    """Whose tokens a daemon takes."""

    @property
    def issuer(self) -> str: ...

    @property
    def ca_file(self) -> Path | None: ...


class DaemonError(Exception):
    """The daemon ended or was not ready in time; the message has its log."""


class RunningDaemon:
    """`sessiond run` on a configuration in `folder`, until stopped.

    A folder that is used again is a restart: the same port, database and keys.
    """

    warm: WarmStart | None = None  # what the plain daemon is forked from; None: it is executed

    def __init__(
        self,
        folder: Path,
        configuration: str,
        *,
        port: int | None = None,
        program: Sequence[str] = DAEMON,
    ) -> None:
        """Start it and wait until it is ready.

        Args:
            folder: Where it keeps everything.
            configuration: May name `{folder}` and `{port}`.
            port: None is one of its own.
            program: What Python is to run; the configuration file comes after it.
        """
        self.folder = folder
        self.program = program
        self.port = next(_ports) if port is None else port
        self.address = b"\0" + f"{folder}/kx.{self.port}".encode()
        self.padded = self.address.ljust(108, b"\0")
        self.path = f"{folder}/kx.{self.port}"
        self.database = folder / "sessiond.db"
        self._file = folder / "config.toml"
        self._file.write_text(configuration.format(folder=folder, port=self.port))
        self.lines: list[str] = []
        self._news = threading.Condition()
        self.stderr = ""
        self.start()

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

    @property
    def command(self) -> list[str]:
        """What starts it."""
        return [sys.executable, *self.program, str(self._file)]

    def start(self) -> None:
        """Start it and wait until it is ready."""
        self._begin()
        self._wait_until_ready()

    def _begin(self) -> None:
        self._ready: queue.Queue[bool] = queue.Queue()
        self._process: subprocess.Popen[str] | WarmProcess
        if self.warm is not None and self.warm.can_be(self.command):
            self._process = self.warm.start(self.command)
        else:
            self._process = subprocess.Popen(
                self.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
        about = (self._process, self._ready)
        self._reader = threading.Thread(target=self._read, args=about, daemon=True)
        self._reader.start()

    def _wait_until_ready(self) -> None:
        if not self._ready.get(timeout=READY_WITHIN):
            raise DaemonError(f"exit {self._process.wait()}:\n" + "".join(self.lines))

    def stop(self) -> int:
        """Stop it as systemd does; return its exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """Wait until it has ended; return its exit code."""
        code = self._process.wait(timeout=READY_WITHIN)
        self._reader.join()
        return code

    def kill(self) -> None:
        """End it as kill -9 does."""
        self._process.kill()
        self._process.wait()
        self._reader.join()

    def wait_until_killed(self) -> None:
        """Return once it has been killed; fail where it ended otherwise."""
        assert self._process.wait(timeout=READY_WITHIN) == -signal.SIGKILL
        self._reader.join()

    def log(self) -> Iterator[dict[str, Any]]:
        """Yield the log's entries so far."""
        for line in self.lines:
            if line.startswith("{"):
                yield json.loads(line)

    def logged(self, count: int, **facts: Any) -> list[dict[str, Any]]:
        """Wait for so many log entries with these facts, and return them."""
        with self._news:
            found = self._news.wait_for(lambda: self._found(count, facts), READY_WITHIN)
        assert found, f"not logged {count} times: {facts}"
        return found

    def _found(self, count: int, facts: dict[str, Any]) -> list[dict[str, Any]]:
        entries = [each for each in self.log() if facts.items() <= each.items()]
        return entries if len(entries) >= count else []

    def _read(
        self, process: "subprocess.Popen[str] | WarmProcess", ready: "queue.Queue[bool]"
    ) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                with self._news:
                    self.lines.append(line)
                    self._news.notify_all()
                if '"event":"ready"' in line.replace(" ", ""):
                    ready.put(True)
        ready.put(False)


def configuration(issuer: Issuer, *, extra: str = "", **sections: str) -> str:
    """Return a configuration for one issuer, to be given to RunningDaemon.

    Args:
        issuer: Asked over plain http on loopback, or with its own authority over TLS.
        extra: Lines for the `[[issuer]]` table; `verify` is jwt unless they say so.
        sections: Lines for the other tables, by name.
    """
    tables = {"listen": "", "store": "", "login": "", "refresh": "", **sections}
    tables["listen"] += '\nport = {port}\ndirectory = "{folder}"'
    if "control =" not in tables["listen"]:
        tables["listen"] += '\ncontrol = "{folder}/c"'
    tables["store"] += '\npath = "{folder}/sessiond.db"'
    lines = [f"[{name}]\n{content}" for name, content in tables.items()]
    lines += [
        "[[issuer]]",
        'name = "corp"',
        f'issuer = "{issuer.issuer}"',
        'client_id = "sessiond"',
        f'ca_file = "{issuer.ca_file}"' if issuer.ca_file else "insecure_http = true",
    ]
    if "refresh_client_id" not in extra:
        lines += ['refresh_client_id = "qstudio"']
    if "verify" not in extra:
        lines += ['verify = "jwt"', 'audience = ["api://kdb"]']
    return "\n".join([*lines, extra, ""])
