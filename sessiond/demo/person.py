"""A person and the machine before which she sits: a home of her own, and `sessiond-login`."""

import json
import os
import queue
import re
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from sessiond.core.secret import Secret
from sessiond.demo.actor import StepFailedError
from sessiond.demo.issuer import NAME

PROGRAM = "sessiond_login"
PATIENCE = 20.0  # seconds for whatever the program does by itself
XDG = [f"XDG_{name}" for name in ("CONFIG_HOME", "STATE_HOME", "CACHE_HOME", "RUNTIME_DIR")]
OF_WHO_WATCHES = ("HOME", "BROWSER", *XDG)
DESKTOP = ("DISPLAY", "WAYLAND_DISPLAY")
OPEN = "import sys, webbrowser; sys.exit(not webbrowser.open(sys.argv[1]))"


@dataclass(frozen=True, slots=True)
class Brought:
    """What `sessiond-login token --json` gives a client."""

    user: str
    password: Secret  # what goes to q in the place of one


class Person:
    """Runs `sessiond-login` as she would, each time a process of its own."""

    def __init__(self, name: str, home: Path) -> None:
        """Begin with nothing in her home but the way to the browser of whoever watches.

        Args:
            name: Hers at the issuer.
            home: An empty folder.
        """
        self.name = name
        self._home = home
        self._opener = home / "open-in-browser"
        self._opener.touch(mode=0o700)
        self._opener.write_text(_opener(os.environ), encoding="utf-8")

    @property
    def profile(self) -> Path:
        """Where her profile belongs."""
        return self._home / ".config/sessiond/login.toml"

    @contextmanager
    def running(self, *arguments: str, with_browser: bool = False) -> Iterator["Program"]:
        """Run `sessiond-login` while the block lasts; it is ended then if it has not."""
        opener = self._opener if with_browser else None
        program = Program(arguments, _environment(self._home, opener))
        try:
            yield program
        finally:
            program.kill()

    def token(self) -> Brought:
        """Ask for what a client needs, through a pipe.

        Raises:
            StepFailedError: She is not signed in.
        """
        with self.running("token", "--json") as program:
            found: dict[str, Any] = json.loads(program.output(PATIENCE))
        return Brought(found["user"], Secret(found["password"]))


class Program:
    """`sessiond-login` at work. What it prints on standard output is for its reader alone."""

    def __init__(self, arguments: tuple[str, ...], environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", PROGRAM, *arguments, "--profile", NAME],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            text=True,
        )
        self._said: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._last = ""
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def reads(self, pattern: str, what: str) -> re.Match[str]:
        """Wait for the line of what it tells the person that has a pattern.

        Args:
            pattern: With groups for what is of use.
            what: What that is.

        Raises:
            StepFailedError: No such line came, or it ended.
        """
        for line in self.words(PATIENCE):
            if found := re.search(pattern, line):
                return found
        raise StepFailedError(f"sessiond-login did not say {what}: {self._last}")

    def words(self, patience: float) -> Iterator[str]:
        """Yield each line that it tells the person, until it ends or so many seconds are over."""
        give_up_at = time.monotonic() + patience
        with suppress(queue.Empty):
            while line := self._said.get(timeout=max(0.0, give_up_at - time.monotonic())):
                yield line.strip()

    def output(self, patience: float) -> str:
        """Wait until it has ended well, and return what it printed.

        Raises:
            StepFailedError: It ended otherwise, or not within so many seconds.
        """
        try:
            code = self._process.wait(patience)
        except subprocess.TimeoutExpired as error:
            raise StepFailedError(f"sessiond-login is not done in {patience:g} s") from error
        self._listener.join()
        if code != os.EX_OK:
            raise StepFailedError(f"sessiond-login ended with {code}: {self._last}")
        return self._process.stdout.read() if self._process.stdout else ""

    def kill(self) -> None:
        """End it, if it has not ended."""
        self._process.kill()
        self._process.wait()
        self._listener.join()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def _listen(self) -> None:
        for line in self._process.stderr or ():
            self._last = line.strip() or self._last
            self._said.put(line)
        self._said.put("")


def answer_device(page: str, code: str, *, user: str, password: str) -> None:
    """Do in a browser what a device asks for: open its page, and send the form there.

    Raises:
        httpx.HTTPError: The page is not there.
        StepFailedError: It does not let the device in.
    """
    form = {"code": code, "user": user, "password": password}
    with httpx.Client(trust_env=False, timeout=PATIENCE) as browser:
        browser.get(page).raise_for_status()
        shown = browser.post(page, data=form).raise_for_status().text
    if "You can close this page" not in shown:
        raise StepFailedError(f"the issuer's page does not let {user}'s device in")


def _environment(home: Path, opener: Path | None) -> dict[str, str]:
    """Return that of her programs: this process's, but a home, and at most a browser, of her own.

    The keyring is that of whoever watches, and nothing of hers belongs there.
    """
    left_out = {*OF_WHO_WATCHES, *(() if opener else DESKTOP)}
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    browser = {"BROWSER": f"{shlex.quote(str(opener))} %s"} if opener else {}
    hers = {"HOME": str(home), "XDG_RUNTIME_DIR": str(home), "SESSIOND_LOGIN_KEEP": "file"}
    return {**kept, **browser, **hers}


def _opener(environment: Mapping[str, str]) -> str:
    """Return a script that opens a page in the browser of whoever started the story.

    That browser has its windows and its settings by its own home, not by this person's.
    """
    own = {name: environment[name] for name in OF_WHO_WATCHES if name in environment}
    put_back = [f"export {name}={shlex.quote(value)}" for name, value in own.items()]
    forget = [f"unset {name}" for name in OF_WHO_WATCHES if name not in own]
    run = f'exec {shlex.quote(sys.executable)} -c {shlex.quote(OPEN)} "$1" >/dev/null 2>&1'
    return "\n".join(["#!/bin/sh", *put_back, *forget, run, ""])
