"""`sessiond-login` as its user runs it: a process with a home of its own."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sessiond_login.keeping.record import to_text
from sessiond_login.kept import Kept

PROGRAM = [sys.executable, "-m", "sessiond_login"]
DEADLINE = 60  # seconds
PAGE = re.compile(r"https?://\S*user_code=\S+")
_THEIRS = re.compile(r"DISPLAY|WAYLAND|BROWSER|SSH|XDG|DBUS|PYTHON")  # of whoever runs the tests


@dataclass
class Home:
    """Somebody's home, with login.toml in it."""

    folder: Path
    more: dict[str, str] = field(  # environment
        default_factory=lambda: {"SESSIOND_LOGIN_KEEP": "file"}
    )

    @property
    def environment(self) -> Mapping[str, str]:
        plain = {name: value for name, value in os.environ.items() if not _THEIRS.search(name)}
        return {**plain, "HOME": str(self.folder), **self.more}

    def profile(self, name: str = "work", **members: object) -> None:
        """Add a [profile.NAME]."""
        rows = [f"{key} = {_toml(value)}" for key, value in members.items()]
        path = self.folder / ".config/sessiond/login.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.write("\n".join([f"[profile.{name}]", *rows, "", ""]))

    @property
    def pages(self) -> Path:
        """A pipe of the pages that $BROWSER is to open, a line each."""
        return self.folder / "pages"

    def open_browsers(self) -> None:
        """Have a browser from now on, which also notes its own environment."""
        os.mkfifo(self.pages)
        script = self.folder / "browser"
        script.write_text(
            f"#!/bin/sh\ntr '\\0' '\\n' < /proc/$$/environ > '{self.folder}/environment'\n"
            f"printf '%s\\n' \"$1\" > '{self.pages}'\n"
        )
        script.chmod(0o755)
        self.more["BROWSER"] = f"{script} %s"

    def keep(self, kept: Kept, name: str = "work") -> None:
        """Have something kept from before."""
        folder = self.folder / ".local/state/sessiond"
        folder.mkdir(parents=True, mode=0o700)
        file = folder / f"tokens-{name}.json"
        file.touch(mode=0o600)
        file.write_text(to_text(kept))

    def run(self, *args: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PROGRAM, *args],
            env=self.environment,
            input=typed,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            start_new_session=True,  # no terminal
        )

    def begin(self, *args: str) -> "Begun":
        return Begun(
            subprocess.Popen(
                [*PROGRAM, *args],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        )


class Begun:
    """A program that is at work still."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.told = ""
        self.stdout = ""
        self._timer = threading.Timer(DEADLINE, process.kill)
        self._timer.start()

    def page(self) -> str:
        """Return where the code that it shows is entered, once it shows one."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.told += line
            if found := PAGE.search(line):
                return found[0]
        raise AssertionError(f"no code was shown, but: {self.told}")

    def end(self) -> int:
        """Return the exit code, once it has ended."""
        self.stdout, rest = self.process.communicate()
        self.told += rest
        self._timer.cancel()
        return self.process.returncode


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return f'"{value}"' if isinstance(value, str) else str(value)
