"""The unit by what systemctl says, and room on the disk."""

import os
import pwd
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from sessiond.ctl.doctor import machine

ACTIVE = {
    "LoadState": "loaded",
    "ActiveState": "active",
    "SubState": "running",
    "UnitFileState": "enabled",
    "User": "nobody",
    "NRestarts": "0",
    "NeedDaemonReload": "no",
}


class Usage(NamedTuple):
    """What shutil.disk_usage returns, in bytes."""

    total: int
    used: int
    free: int


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put a systemctl first on PATH, on a machine that systemd has booted."""

    def put(script: str) -> None:
        (tmp_path / "systemctl").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "systemctl").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        monkeypatch.setattr(machine, "BOOTED", tmp_path)

    return put


def test_the_unit_is_asked_about(systemctl: Callable[[str], None]) -> None:
    systemctl('[ "$1 $2" = "show sessiond.service" ] && echo LoadState=loaded && echo User=a=b')
    assert machine.unit_state() == {"LoadState": "loaded", "User": "a=b"}


def test_without_systemd_nothing_is_known(
    systemctl: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    systemctl("exec sleep 60")
    monkeypatch.setattr(machine, "WITHIN", 0.1)
    assert machine.unit_state() == {}
    monkeypatch.setattr(machine, "BOOTED", tmp_path / "none")
    assert machine.unit_state() == {}
    monkeypatch.setenv("PATH", "/nowhere")
    assert machine.unit_state() == {}
    (found,) = machine.unit({})
    assert (found.outcome.value, found.found) == ("ok", "not in use here")


@pytest.mark.parametrize(
    ("changed", "outcomes", "part"),
    [
        ({}, ["ok"], "active (running)"),
        ({"LoadState": "not-found"}, ["warning"], "install-units"),
        ({"ActiveState": "failed"}, ["wrong"], "journalctl"),
        ({"ActiveState": "inactive"}, ["warning"], "enable --now"),
        ({"NRestarts": "3"}, ["warning"], "restarted 3 times"),
        ({"UnitFileState": "disabled"}, ["ok", "warning"], "does not start at boot"),
        ({"NeedDaemonReload": "yes"}, ["ok", "warning"], "daemon-reload"),
    ],
)
def test_the_unit_is_judged(changed: dict[str, str], outcomes: list[str], part: str) -> None:
    found = list(machine.unit({**ACTIVE, **changed}))
    assert [each.outcome.value for each in found] == outcomes
    assert part in f"{found[-1].found}; {found[-1].advice}"


def test_the_daemon_runs_as_its_unit_says_or_as_who_owns_its_database(tmp_path: Path) -> None:
    assert machine.account(ACTIVE, None) == pwd.getpwnam("nobody").pw_uid
    assert machine.account({**ACTIVE, "User": "77"}, None) == 77
    assert machine.account({**ACTIVE, "User": "no-such-user"}, tmp_path) == os.geteuid()
    assert machine.account({}, tmp_path) == os.geteuid()
    assert machine.account({}, tmp_path / "none") is None
    assert machine.account({}, None) is None


@pytest.mark.parametrize(("free", "outcome"), [(2**20, "wrong"), (2**29, "warning"), (2**31, "ok")])
def test_there_must_be_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, outcome: str
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2**40, 0, free))
    (found,) = machine.disk(tmp_path / "not yet" / "there" / "db")
    assert found.outcome.value == outcome
    assert f"free in {tmp_path}" in found.found


def test_what_may_not_be_looked_at_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(shutil, "disk_usage", refuse)
    (found,) = machine.disk(tmp_path / "db")
    assert found.outcome.value == "warning"
