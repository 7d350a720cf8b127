"""Lists that fit a terminal, say what is left and, where nothing is there, that."""

import io
import sys
from datetime import timedelta
from typing import Any

import pytest
from rich.console import Console

from sessiond.ctl import lists, show
from sessiond.ctl.lists import left
from tests.fakes import START

SESSION: dict[str, Any] = {
    "session": "b74f209c-3033-4d95-bcc1-7b3e44aea694",
    "user": "alice.margaret.longname@subsidiary.example.contoso.com",
    "issuer": "corp",
    "process": {"name": "gateway-in-frankfurt-number-1", "type": "gw", "host": "h", "pid": 4711},
    "handle": 6,
    "roles": ["reader"],
    "state": "waiting",
    "opened_at": "2026-03-02T09:00:00Z",
    "expires_at": "2026-03-02T09:59:59Z",
}
PROCESS: dict[str, Any] = {
    "name": "gateway-in-frankfurt-number-1",
    "type": "a-type-that-somebody-made-up",
    "host": "h",
    "pid": 4711,
    "uid": 1001,
    "hook": "0.2.0+build.of.somebody",
    "connected": True,
    "sessions": 12,
}
NAME: dict[str, Any] = {
    "name": "alice@contoso.com",
    "issuer": "corp",
    "subject": "00000000-1111-2222-3333-444444444444/55555555-6666",
    "sessions": 1,
}
REVOCATION: dict[str, Any] = {
    "id": "b74f209c-3033-4d95-bcc1-7b3e44aea694",
    "scope": "user",
    "value": "alice@contoso.com",
    "at": "2026-03-02T09:00:00Z",
    "reason": "left us, and took the whole desk with her, as the ticket has it",
}


@pytest.fixture(autouse=True)
def eighty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a console of 80 columns, as on a terminal."""
    monkeypatch.setattr(lists, "console", lambda: Console(width=80))


def drawn(part: lists.Drawn, width: int = 80) -> list[str]:
    text = io.StringIO()
    Console(file=text, width=width, highlight=False).print(part)
    return text.getvalue().splitlines()


def test_sessions_fit_80_columns_and_say_what_tells_them_apart() -> None:
    header, line = drawn(lists.sessions_of([SESSION], START))
    assert header.split() == ["USER", "PROCESS", "STATE", "LEFT", "SESSION"]
    assert len(line) <= 80
    assert line.split()[2:] == ["waiting", "59m", "b74f209c"]
    assert line.startswith("alice.margaret")
    assert line.count("…") >= 1


def test_a_session_that_another_let_in_says_which_where_there_is_one() -> None:
    parent = "0b5b9a3e-0000-4000-8000-000000000001"
    child = {**SESSION, "user": "alice", "parent": parent}
    head, line = drawn(lists.sessions_of([child], START))
    assert head.split() == ["USER", "PROCESS", "STATE", "LEFT", "PARENT", "SESSION"]
    assert line.split()[-2:] == ["0b5b9a3e", "b74f209c"]
    of_two = drawn(lists.sessions_of([child, {**SESSION, "user": "bob", "parent": None}], START))
    assert of_two[2].split()[-2] == "-"
    assert "PARENT" not in drawn(lists.sessions_of([SESSION], START))[0]


def test_what_fits_is_not_cut() -> None:
    short = {**SESSION, "user": "alice", "process": {**SESSION["process"], "name": "gw1"}}
    assert drawn(lists.sessions_of([short], START))[1].split() == [
        "alice",
        "gw1:4711",
        "waiting",
        "59m",
        "b74f209c",
    ]


@pytest.mark.parametrize(
    "table",
    [
        lists.processes_of([PROCESS]),
        lists.names_of([{**NAME, "name": "x" * 90}]),
        lists.revocations_of([REVOCATION, {**REVOCATION, "scope": "all", "value": ""}]),
    ],
)
def test_each_list_has_a_line_for_each_that_fits(table: lists.Drawn) -> None:
    lines = drawn(table)
    assert all(len(line) <= 80 for line in lines)
    assert len(lines) in (2, 3)


def test_a_very_narrow_terminal_has_lines_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "console", lambda: Console(width=30))
    assert all(len(line) <= 30 for line in drawn(lists.sessions_of([SESSION], START), 30))


def test_all_that_there_is_is_shown_to_who_wants_it() -> None:
    def flat(table: lists.Drawn) -> str:
        return " ".join(drawn(table, 400))

    assert SESSION["session"] in flat(lists.sessions_of([SESSION], START, is_wide=True))
    for value in (PROCESS["type"], PROCESS["hook"], "1001"):
        assert str(value) in flat(lists.processes_of([PROCESS], is_wide=True))
    gone = {**PROCESS, "connected": False, "hook": ""}
    assert " no " in flat(lists.processes_of([gone], is_wide=True))
    assert NAME["subject"] in flat(lists.names_of([NAME], is_wide=True))
    assert REVOCATION["id"] in flat(lists.revocations_of([REVOCATION], is_wide=True))


@pytest.mark.parametrize(
    ("empty", "told"),
    [
        (lists.sessions_of([], START), "no sessions"),
        (lists.sessions_of([], START, filters={"user": "a\x1b"}), r"no sessions (user a\x1b)"),
        (lists.processes_of([]), "no q processes are connected"),
        (lists.names_of([]), "no names are known"),
        (lists.revocations_of([]), "no revocations are in force"),
        (next(iter(show.subscribers_of([]))), "no subscribers are configured"),
    ],
)
def test_what_is_empty_says_so(empty: lists.Drawn, told: str) -> None:
    assert drawn(empty) == [told]


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-5, "0s"),
        (59.9, "60s"),
        (119, "119s"),
        (120, "2m"),
        (3599, "59m"),
        (7199, "119m"),
        (7200, "2h"),
        (172_799, "47h"),
        (172_800, "2d"),
    ],
)
def test_what_is_left_is_told_in_the_unit_that_tells_most(seconds: float, shown: str) -> None:
    assert left((START + timedelta(seconds=seconds)).isoformat(), START) == shown


def test_a_closed_pipe_is_left_to_whoever_runs_the_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Closed(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Closed())
    with pytest.raises(BrokenPipeError):
        show.console().print("x")
