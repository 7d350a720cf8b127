"""What the sample subscribers of tests/plugins tell a test, and how a daemon is given them."""

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import pytest

PLUGINS = Path(__file__).with_name("plugins")
PATIENCE = 20.0  # seconds that a test waits before it fails


def python_path(folder: Path = PLUGINS) -> str:
    """Return a PYTHONPATH on which a folder's plugins are installed: the sample subscribers."""
    return os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))


@contextmanager
def installed() -> Iterator[None]:
    """Have the sample subscribers installed for the daemons that are started meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", python_path())
        yield


class Listening:
    """Hears one subscriber, whichever process it is in, over restarts of the daemon too."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.told: list[dict[str, Any]] = []
        self._news = threading.Condition()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def table(self, plugin: str, **keys: Any) -> str:
        """Return the lines of a `[[subscriber]]` table for a plugin that tells this."""
        keys = {"plugin": plugin, "path": str(self.path), **keys}
        return "\n".join(["[[subscriber]]", *(f"{k} = {json.dumps(v)}" for k, v in keys.items())])

    def all(self, key: str) -> list[Any]:
        """Return what was told so far under a key."""
        return [each[key] for each in self.told if key in each]

    def wait(self, key: str, count: int) -> list[Any]:
        """Wait until a key was told so often, and return what was told under it."""
        with self._news:
            is_there = self._news.wait_for(lambda: len(self.all(key)) >= count, PATIENCE)
        assert is_there, f"told {len(self.all(key))} times, not {count}: {key}"
        return self.all(key)

    def wait_for(self, key: str, value: Any) -> list[Any]:
        """Wait until a value was told under a key, and return all that was."""
        with self._news:
            is_there = self._news.wait_for(lambda: value in self.all(key), PATIENCE)
        assert is_there, f"{key} {value} was not told: {self.all(key)}"
        return self.all(key)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._read, args=(connection,), daemon=True).start()

    def _read(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines:
            try:
                for line in lines:
                    with self._news:
                        self.told.append(json.loads(line))
                        self._news.notify_all()
            except (ConnectionError, ValueError):  # it was killed in the middle of a line
                return


def in_order(received: list[int]) -> list[int]:
    """Return the numbers without those that came again."""
    first: list[int] = []
    for each in received:
        if not first or each > first[-1]:
            first.append(each)
    return first
