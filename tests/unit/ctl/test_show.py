"""What people see cannot steer their terminal, and says what there is."""

import io
import re
import sys
from typing import Any

import pytest
from rich.console import Console

from sessiond.ctl import lists, show
from sessiond.ctl.explained import explanation_of
from tests.fakes import START

SESSION: dict[str, Any] = {
    "session": "00000000-0000-0000-0000-000000000001",
    "user": "alice",
    "subject": "s",
    "issuer": "corp",
    "process": {"name": "rdb\x1b[2J[red]", "type": "rdb", "host": "h", "pid": 7},
    "handle": 5,
    "roles": ["reader", "writer"],
    "attributes": {"desk": "rates"},
    "state": "unbound",
    "opened_at": None,
    "expires_at": "2026-03-02T10:00:00Z",
    "refresh_at": None,
}
EVENT: dict[str, Any] = {
    "kind": "login.refused",
    "sequence": 9,
    "at": "2026-03-02T10:00:00Z",
    "user": "bob",
    "issuer": "corp",
    "process": None,
    "handle": 0,
    "reason": "expired",
    "count": 3,
}


def drawn(*parts: Any) -> str:
    text = io.StringIO()
    console = Console(file=text, width=300, highlight=False)
    for part in parts:
        console.print(part)
    return text.getvalue()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("alice", "alice"),
        ("a\x1b[2J", "a\\x1b[2J"),
        ("line\nbreak", "line\\nbreak"),
        ("\u202eevil", "\\u202eevil"),
        ("\ud800", "\\ud800"),
        ("Müller", "Müller"),
        ("[bold]", "[bold]"),
        (None, ""),
        (5, "5"),
    ],
)
def test_what_others_have_named_is_shown_without_its_effects(value: object, shown: str) -> None:
    assert show.plain(value).plain == shown


def test_a_session_is_a_line_and_all_of_it_a_page() -> None:
    line = drawn(lists.sessions_of([SESSION], START, is_wide=True))
    page = drawn(show.session_of(SESSION))
    for text in (line, page):
        assert "\x1b" not in text
        assert "rdb\\x1b[2J[red]:7" in text
    assert "reader,writer" in line
    assert "desk=rates" in page


def test_only_what_was_let_in_by_another_says_by_which() -> None:
    parent = "0b5b9a3e-0000-4000-8000-000000000001"
    assert parent in drawn(show.session_of({**SESSION, "parent": parent}))
    for page in (show.session_of(SESSION), show.session_of({**SESSION, "parent": None})):
        assert "parent" not in drawn(page)


def test_what_a_ticket_brought_says_so_and_how_its_user_signed_in() -> None:
    told = {"hops": 1, "auth_time": "2026-03-02T09:00:00Z", "acr": ["mfa", "phr"]}
    page = drawn(show.session_of({**SESSION, **told}))
    assert "hops" in page
    assert "2026-03-02 09:00:00Z" in page
    assert "mfa, phr" in page
    nothing = drawn(show.session_of({**SESSION, "hops": 0, "auth_time": None, "acr": []}))
    assert all(name not in nothing for name in ("hops", "auth_time", "acr"))


def test_a_refused_login_says_how_often_and_why() -> None:
    told = show.event_of(EVENT).plain
    assert told == ("9  2026-03-02 10:00:00Z  login.refused  bob  corp  -  handle 0  x3  expired")


@pytest.mark.parametrize(
    ("by", "who"),
    [
        ({"uid": 1001, "name": "olga"}, "by olga"),
        ({"uid": 1001, "name": ""}, "by uid 1001"),
        (None, "by a signal"),
    ],
)
def test_an_order_says_who_gave_it_of_what_and_why(by: Any, who: str) -> None:
    order = {
        **EVENT,
        "kind": "operator.revoked",
        "by": by,
        "scope": "user",
        "value": "alice",
        "reason": "left\x1b us",
        "count": 2,
    }
    told = f"operator.revoked  user alice  {who}  sessions 2  left\\x1b us"
    assert show.event_of(order).plain.endswith(told)
    forgave = {**order, "kind": "operator.forgave", "count": 0, "reason": ""}
    assert show.event_of(forgave).plain.endswith(f"operator.forgave  user alice  {who}")


def test_a_revoked_session_says_what_the_operator_wrote() -> None:
    ended = {**EVENT, "kind": "session.revoked", "reason": "operator", "detail": "left us"}
    assert show.event_of(ended).plain.endswith("operator  left us")


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({"process": {"name": "feed1"}}, "source.issued  quotes  to process feed1"),
        ({"by": {"uid": 33, "name": "web"}, "count": 4}, "quotes  to user web  x4"),
        ({"by": {"uid": 33, "name": ""}}, "quotes  to user uid 33"),
        (
            {"process": {"name": "gateway1"}, "user": "alice"},
            "quotes  to process gateway1  on behalf of alice",
        ),
    ],
)
def test_a_token_given_away_says_of_what_to_whom_and_for_whom(
    members: dict[str, Any], told: str
) -> None:
    given = {
        **EVENT,
        "kind": "source.issued",
        "source": "quotes",
        "by": None,
        "user": "",
        "count": 1,
        **members,
    }
    assert show.event_of(given).plain.endswith(told)


def test_a_gap_says_from_where_to_where() -> None:
    gap = {**EVENT, "kind": "gap", "after": 2, "before": 7}
    assert show.event_of(gap).plain.endswith("events after 2 and before 7 are not kept")


def test_an_explanation_ends_with_what_it_comes_to() -> None:
    check = {"check": "token", "outcome": "failed", "reason": "nottoken", "detail": "a plain one"}
    refused = {"accepted": False, "reason": "nottoken", "checks": [check]}
    text = drawn(*explanation_of(refused))
    assert "nottoken: a plain one" in text
    assert text.endswith("would be refused: nottoken\n")
    accepted = {
        "accepted": True,
        "checks": [],
        "roles": [],
        "user": "alice",
        "expires_at": "2026-03-02T10:00:00Z",
    }
    assert "let in as alice with no role until 2026-03-02 10:00:00Z" in drawn(
        *explanation_of(accepted)
    )


class Terminal(io.StringIO):
    """One of a few columns, which shows what it is given without its colours."""

    def isatty(self) -> bool:
        return True

    @property
    def lines(self) -> list[str]:
        return re.sub(r"\x1b\[[0-9;]*m", "", self.getvalue()).splitlines()


def narrow(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "40")
    return terminal


@pytest.mark.parametrize(
    "part", [show.plain("a  "), show.session_of(SESSION), show.table_of(["A", "BB"], [("a", "b")])]
)
def test_no_line_ends_in_blanks(monkeypatch: pytest.MonkeyPatch, part: Any) -> None:
    terminal = narrow(monkeypatch)
    show.say(part)
    assert terminal.lines
    assert not [line for line in terminal.lines if line.endswith(" ")]


def test_a_narrow_terminal_folds_a_value_and_cuts_nothing_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = narrow(monkeypatch)
    long = "".join(map(str, range(60)))
    check = {"check": "token", "outcome": "failed", "reason": "", "detail": long}
    refused = {"accepted": False, "reason": "nottoken", "checks": [check]}
    show.say(show.members_of({"name": long}), *explanation_of(refused))
    assert all(len(line) <= 40 for line in terminal.lines)
    columns = [line.split()[-1] for line in terminal.lines[:-1]]
    assert "".join(columns) == 2 * long


def test_what_is_asked_for_wide_is_whole_on_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = narrow(monkeypatch)
    show.say(lists.sessions_of([SESSION], START, is_wide=True), is_wide=True)
    header, line = terminal.lines
    assert header.split()[-2:] == ["PARENT", "SESSION"]
    assert line.endswith(SESSION["session"])
    assert "…" not in line
