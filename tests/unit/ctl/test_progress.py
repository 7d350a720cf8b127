"""A bar is drawn from events alone, on a terminal, and where there is much to tell."""

import io
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from rich.console import Console

from sessiond.ctl import progress
from sessiond.ctl.client import ControlError, Told


class Client:
    """Stands for the daemon's client."""

    path = "/control"
    live = 5000
    asked = 0
    ended = threading.Event()

    def __init__(self, path: str = "") -> None:
        self.path = path or self.path

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def get(self, path: str) -> Any:
        assert path == "/v1/status"
        Client.asked += 1
        return {"sessions": {"open": self.live, "unbound": 1}, "last_sequence": 7}

    def events(self, after: int) -> Iterator[Told]:
        assert (self.path, after) == ("/control", 7)
        yield Told(7, "", "")
        for number in range(8, 11):
            yield Told(number, "session.revoked", "{}")
        yield Told(11, "session.closed", "{}")
        Client.ended.set()
        raise ControlError("gone", 69)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Return what is drawn on a terminal."""
    text = io.StringIO()
    monkeypatch.setattr(progress, "Client", Client)
    monkeypatch.setattr(Client, "asked", 0)
    monkeypatch.setattr(Client, "ended", threading.Event())
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)

    def console(*, stderr: bool) -> Console:
        assert stderr
        return Console(file=text, force_terminal=True, width=100)

    monkeypatch.setattr(progress, "Console", console)
    return text


def follow(*, is_shown: bool = True) -> None:
    with progress.followed(Client(), is_shown=is_shown):  # type: ignore[arg-type]  # stands for it
        if Client.asked and Client.live >= progress.MANY:
            assert Client.ended.wait(10)


def test_the_bar_counts_the_sessions_that_events_tell_of(drawn: io.StringIO) -> None:
    follow()
    assert "sessions ended" in drawn.getvalue()
    assert "3/5001" in drawn.getvalue()


def test_few_sessions_end_before_a_bar_could_be_read(
    drawn: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Client, "live", 10)
    follow()
    assert drawn.getvalue() == ""


def test_no_bar_is_drawn_where_nobody_looks(
    drawn: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow(is_shown=False)
    monkeypatch.setattr("sys.stderr.isatty", lambda: False, raising=False)
    follow()
    assert (drawn.getvalue(), Client.asked) == ("", 0)
