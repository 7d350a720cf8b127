"""Who could have a role at a process, when, and why, by the events in the log."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sessiond_audit import subscriber
from sessiond_audit.__main__ import main

from sessiond.api import (
    Because,
    Event,
    Gap,
    OperatorReloaded,
    ProcessAbout,
    SessionClosed,
    SessionOpened,
    SessionRolesChanged,
)

DAY = datetime(2026, 11, 24, tzinfo=UTC)
GATEWAY = ProcessAbout(name="gateway1", type="gateway", host="h", pid=1)
RDB = ProcessAbout(name="rdb1", type="rdb", host="h", pid=2)
WIDE = """[[access.grant]]
users = ["ann"]
roles = ["admin"]
[[access.process]]
name = "gateway*"
roles = ["reader"]
[[access.process]]
name = "rdb*"
peers = ["kdb"]
estate = true
"""
NARROW = WIDE.replace('name = "rdb*"', 'name = "rdb*"\nroles = ["reader"]')
WHY: dict[str, tuple[str, ...]] = {
    "admin": ("claim roles: kdb.admin",),
    "reader": ("default_roles",),
}


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class Log:
    """A log of events, an hour each, and what is asked of it."""

    def __init__(self, folder: Path) -> None:
        self.path, self.folder = folder / "audit.jsonl", folder
        self.log = subscriber(path=str(self.path))
        self.sequence = 0
        self.configuration = digest(WIDE)

    def add(self, kind: type[Event], hour: float, **members: Any) -> None:
        self.sequence += members.pop("skip", 0) + 1
        at = DAY + timedelta(hours=hour)
        self.log.receive_batch([kind(sequence=self.sequence, at=at, **members)])

    def opened(self, hour: float, user: str, session: str, **members: Any) -> None:
        told = {"because": Because(roles=WHY, cut=("admin",)), "roles": ("reader",)} | members
        told = {"process": GATEWAY, "configuration": self.configuration} | told
        self.add(SessionOpened, hour, user=user, issuer="corp", session=session, **told)

    def ask(self, capsys: pytest.CaptureFixture[str], *args: str, code: int = 0) -> Any:
        for name, text in (("wide", WIDE), ("narrow", NARROW)):
            (self.folder / name).write_text(text)
        found = main(["who", str(self.path), "--role", "admin", "--json", *args])
        out, err = capsys.readouterr()
        assert found == code, err
        return json.loads(out) if code == 0 else err

    def kept(self, *names: str) -> list[str]:
        return [part for name in names for part in ("--configuration", str(self.folder / name))]


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path)


def test_the_gateway_s_ceiling_does_not_hide_who_had_the_role_behind_it(
    log: Log, capsys: pytest.CaptureFixture[str]
) -> None:
    log.opened(9, "bob", "s1")
    log.add(SessionClosed, 17, user="bob", issuer="corp", session="s1", reason="disconnect")
    at_rdb = log.ask(capsys, "--process", "rdb1", *log.kept("wide"))["found"]
    (bob,) = at_rdb
    assert (bob["user"], bob["by_follow"], bob["why"]) == ("bob", True, ["claim roles: kdb.admin"])
    assert (bob["begin"], bob["end"]) == ("2026-11-24T09:00:00Z", "2026-11-24T17:00:00Z")
    assert (bob["ended"], bob["unknown"]) == ("session.closed disconnect", [])
    assert log.ask(capsys, "--process", "gateway1", *log.kept("wide"))["found"] == []


def test_a_process_is_found_however_its_name_is_spelt(
    log: Log, capsys: pytest.CaptureFixture[str]
) -> None:
    log.opened(9, "bob", "s1", process=RDB, roles=("admin",))
    found = log.ask(capsys, "--process", "RDB1", *log.kept("wide"))["found"]
    assert [each["user"] for each in found if not each["by_follow"]] == ["bob"]


def test_before_an_event_says_which_configuration_counts_it_may_have_been_another(
    log: Log, capsys: pytest.CaptureFixture[str]
) -> None:
    log.opened(9, "bob", "s1", configuration="")  # as older versions told it
    log.configuration = digest(NARROW)
    log.opened(12, "ann", "s2", because=Because())
    (bob,) = log.ask(capsys, "--process", "rdb1", *log.kept("narrow"))["found"]
    assert (bob["begin"], bob["end"]) == ("2026-11-24T09:00:00Z", "2026-11-24T12:00:00Z")
    assert (bob["configurations"], bob["unknown"]) == ([], [""])


def test_an_event_that_names_as_many_roles_as_role_sources_may_give_is_read(
    log: Log, capsys: pytest.CaptureFixture[str]
) -> None:
    many = [f"{number:04}{'x' * 1020}" for number in range(3 * 256)]
    roles: dict[str, tuple[str, ...]] = dict.fromkeys(["admin", *many], ("role source crm",))
    log.opened(9, "bob", "s1", because=Because(roles=roles), roles=tuple(roles))
    (bob,) = log.ask(capsys)["found"]
    assert (bob["user"], bob["why"]) == ("bob", ["role source crm"])


def test_a_grant_here_counts_from_the_reload_though_no_session_event_tells_of_it(
    log: Log, capsys: pytest.CaptureFixture[str]
) -> None:
    log.configuration = digest(NARROW)
    log.opened(9, "ann", "s1", because=Because(roles={"reader": ("default_roles",)}))
    log.add(OperatorReloaded, 12, by=None, scope="configuration", configuration=digest(WIDE))
    found = log.ask(capsys, "--process", "rdb1", *log.kept("wide", "narrow"))["found"]
    (ann,) = found
    assert (ann["begin"], ann["end"], ann["why"]) == (
        "2026-11-24T12:00:00Z",
        None,
        ["access.grant[1]"],
    )


def test_a_ceiling_that_was_narrowed_ends_it(log: Log, capsys: pytest.CaptureFixture[str]) -> None:
    log.opened(9, "bob", "s1")
    log.add(OperatorReloaded, 12, by=None, scope="configuration", configuration=digest(NARROW))
    (bob,) = log.ask(capsys, "--process", "rdb1", *log.kept("wide", "narrow"))["found"]
    assert (bob["end"], bob["ended"]) == ("2026-11-24T12:00:00Z", "another configuration")


def test_where_a_start_brought_another_configuration_either_may_have_counted(
    log: Log, capsys: pytest.CaptureFixture[str]
) -> None:
    log.configuration = digest(NARROW)
    log.opened(9, "bob", "s1")
    log.configuration = digest(WIDE)
    log.opened(15, "ann", "s2")
    found = log.ask(capsys, "--process", "rdb1", *log.kept("wide", "narrow"))["found"]
    assert [(each["user"], each["begin"][11:13]) for each in found] == [
        ("bob", "09"),
        ("ann", "15"),
    ]


def test_without_the_configuration_it_says_which_one_is_wanted(
    log: Log, capsys: pytest.CaptureFixture[str]
) -> None:
    log.opened(9, "bob", "s1")
    found = log.ask(capsys, "--process", "rdb1")
    assert found["found"][0]["unknown"] == [digest(WIDE)]
    assert any(digest(WIDE) in note for note in found["notes"])


def test_roles_that_changed_begin_and_end_with_their_event(
    log: Log, capsys: pytest.CaptureFixture[str]
) -> None:
    here = {"process": RDB, "user": "bob", "issuer": "corp", "session": "s1"}
    log.opened(9, "bob", "s1", process=RDB, roles=("admin",), because=Because(roles=WHY))
    log.add(SessionRolesChanged, 10, roles=("reader",), **here)
    log.add(SessionRolesChanged, 11, roles=("admin",), because=Because(roles=WHY), **here)
    found = log.ask(capsys, "--process", "rdb1")["found"]
    assert [(each["begin"][11:13], each["end"]) for each in found if not each["by_follow"]] == [
        ("09", "2026-11-24T10:00:00Z"),
        ("11", None),
    ]


def test_only_the_time_that_is_asked_about_counts(
    log: Log, capsys: pytest.CaptureFixture[str]
) -> None:
    log.opened(9, "bob", "s1")
    log.add(SessionClosed, 17, session="s1")
    wanted = ["--process", "rdb1", *log.kept("wide")]
    assert log.ask(capsys, *wanted, "--from", "2026-11-25")["found"] == []
    assert log.ask(capsys, *wanted, "--to", "2026-11-24T09:00")["found"] == []
    assert len(log.ask(capsys, *wanted, "--from", "2026-11-24", "--to", "2026-11-25")["found"]) == 1


def test_gaps_and_beginnings_that_are_not_there_are_said(
    log: Log, capsys: pytest.CaptureFixture[str]
) -> None:
    log.add(SessionRolesChanged, 8, session="s0", user="eve", process=RDB, roles=("admin",))
    log.add(Gap, 9, after=1, before=5, skip=2)
    log.add(SessionClosed, 10, session="s9", user="old", process=RDB, roles=("admin",), skip=4)
    found = log.ask(capsys, "--process", "rdb1")
    here = [each for each in found["found"] if not each["by_follow"]]
    assert {each["user"] for each in here} == {"eve", "old"}
    assert all(each["begins_before"] for each in here)
    assert sum("are missing" in note for note in found["notes"]) == 2


def test_a_process_whose_type_matters_is_asked_for_with_it(
    log: Log, capsys: pytest.CaptureFixture[str]
) -> None:
    log.opened(9, "bob", "s1")
    typed = log.folder / "typed"
    typed.write_text(WIDE.replace('name = "rdb*"', 'name = "rdb*"\ntype = "rdb"'))
    wanted = ["--configuration", str(typed)]
    assert "--process rdb1:TYPE" in log.ask(capsys, "--process", "rdb1", *wanted, code=64)
    log.ask(capsys, "--process", "rdb1:rdb", *wanted)


def test_people_read_a_block_for_each(log: Log, capsys: pytest.CaptureFixture[str]) -> None:
    log.opened(9, "bob\x1b[2J", "s1")
    log.ask(capsys)
    named = ["--process", "rdb1", "--from", "2026-11-24", *log.kept("wide")]
    assert main(["who", str(log.path), "--role", "admin", *named]) == 0
    assert (
        capsys.readouterr().out
        == f"""\
admin at rdb1, from 2026-11-24 00:00:00Z to the end

bob\\x1b[2J of corp
  from     2026-11-24 09:00:00Z
  to       still so when the log ends
  why      claim roles: kdb.admin
  how      logged in at gateway1, session s1
           and known here by follow
  by       configuration {digest(WIDE)[:16]}

note: the log begins at 2026-11-24 09:00:00Z
note: the log ends at 2026-11-24 09:00:00Z
"""
    )


def test_nobody_is_an_answer_for_what_the_log_covers_alone_and_says_so(
    log: Log, capsys: pytest.CaptureFixture[str]
) -> None:
    log.opened(9, "bob", "s1")
    log.opened(10, "ann", "s2")
    wanted = ["--from", "2026-11-17", "--to", "2026-11-18"]
    assert main(["who", str(log.path), "--role", "admin", *wanted]) == 0
    assert (
        capsys.readouterr().out
        == """admin wherever people logged in, from 2026-11-17 00:00:00Z to 2026-11-18 00:00:00Z

nobody

note: who had it at a process that follows (estate) is said with --process alone
note: the log begins at 2026-11-24 09:00:00Z
note: the log ends at 2026-11-24 10:00:00Z
"""
    )


@pytest.mark.parametrize("content", ["[", "access = 1", "[[access.grant]]\nusers = []\n"])
def test_what_is_no_configuration_is_refused(
    log: Log, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    (log.folder / "odd").write_text(content)
    log.opened(9, "bob", "s1")
    said = log.ask(capsys, "--configuration", str(log.folder / "odd"), code=78)
    assert "is no configuration" in said


def test_a_changed_log_answers_nothing(log: Log, capsys: pytest.CaptureFixture[str]) -> None:
    log.opened(9, "bob", "s1")
    log.opened(10, "ann", "s2")
    log.path.write_bytes(log.path.read_bytes().replace(b'"user":"bob"', b'"user":"eve"'))
    log.ask(capsys, code=1)
