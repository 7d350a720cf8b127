"""What the machine must have is found before a start, and nothing is made or opened for it."""

import os
import pwd
import socket
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from sessiond import log
from sessiond.config.credentials import new_key
from sessiond.core.errors import ConfigError, NotNowError
from sessiond.daemon import checking
from sessiond.daemon.checking import check
from sessiond.extensions.subscribers.checking import Checked

ME = pwd.getpwuid(os.geteuid()).pw_name
TEXT = """
[listen]
directory = "{folder}"
control = "{folder}/c"
{listen}
[store]
path = "{folder}/db/sessiond.db"
{store}
[[issuer]]
name = "corp"
issuer = "https://login.example.com/"
verify = "{verify}"
audience = ["api://kdb"]
{issuer}
"""


@pytest.fixture(autouse=True)
def _nothing_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every socket and database fail the test but those between a process and its child."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a socket or the database was opened")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(sqlite3, "connect", refuse)
    monkeypatch.setattr(log, "configure", lambda *_: None)


def write(folder: Path, more: str = "", *, verify: str = "jwt", **tables: str) -> Path:
    (folder / "db").mkdir(mode=0o700, exist_ok=True)
    keys = {"listen": "", "store": "", "issuer": "", **tables}
    path = folder / "config.toml"
    path.write_text(TEXT.format(folder=folder, verify=verify, **keys) + more)
    return path


def doubted(line: str) -> None:
    raise AssertionError(line)


def problems(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        check(path, os.environ, doubted)
    return str(refused.value).splitlines()


def test_what_would_start_is_good_and_nothing_is_made_by_looking(tmp_path: Path) -> None:
    path = write(tmp_path, listen=f'allow_users = ["{ME}"]')
    assert check(path, os.environ, doubted) == ME
    assert sorted(each.name for each in tmp_path.iterdir()) == ["config.toml", "db"]
    assert list((tmp_path / "db").iterdir()) == []


def test_a_subscriber_that_could_not_be_tried_is_doubted_and_nothing_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unanswered(configs: Any, **_: Any) -> list[Checked]:
        return [Checked(each, doubts=[f"{each.name} hangs"]) for each in configs]

    monkeypatch.setattr(checking, "check_each", unanswered)
    doubts: list[str] = []
    path = write(tmp_path, '[[subscriber]]\nplugin = "audit"\n')
    assert check(path, os.environ, doubts.append) == ME
    assert doubts == ["audit hangs"]


def test_the_file_itself_is_checked_first(tmp_path: Path) -> None:
    assert problems(write(tmp_path, listen="prot = 1"))[0].startswith("listen.prot is unknown")


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    issuer = 'ca_file = "/nowhere/ca.pem"'
    more = '[[subscriber]]\nplugin = "audti"\n[[subscriber]]\nplugin = "audit"\npaht = 1\n'
    listen = 'allow_users = ["no-such-user"]\ncontrol_group = "no-such-group"'
    path = write(tmp_path, more, listen=listen, store='key_file = "/nowhere/key"', issuer=issuer)
    (tmp_path / "db").chmod(0o777)
    begins = [
        "store.key_file: cannot read /nowhere/key",
        "listen.allow_users: no user",
        "listen.control_group: no group",
        f"store.path: everybody may write in {tmp_path}/db",
        "issuer[corp].ca_file: ",
        "subscriber[audti].plugin: no plugin",
        "subscriber[audit].paht is unknown; did you mean path?",
    ]
    found = problems(path)[: len(begins)]
    assert [each[: len(begin)] for each, begin in zip(found, begins, strict=True)] == begins


def test_names_alone_are_a_case_of_trying_again(tmp_path: Path) -> None:
    path = write(tmp_path, listen='allow_users = ["no-such-user"]\nallow_groups = ["no-such"]')
    with pytest.raises(NotNowError, match=r"listen\.allow_users: no user"):
        check(path, os.environ, doubted)


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"verify": "introspection"}, "issuer[corp]: "),
        ({"issuer": 'client_secret_file = "{folder}/secret"'}, "issuer[corp].client_secret_file: "),
        ({"verify": "plugin", "issuer": 'plugin = "none"'}, "issuer[corp].plugin: no plugin"),
        ({"listen": 'proof_key_file = "{folder}/secret"'}, "listen.proof_key_file: "),
        ({"store": 'key_file = "{folder}/secret"'}, "store.key_file: "),
    ],
)
def test_what_a_start_refuses_is_found(tmp_path: Path, keys: dict[str, str], problem: str) -> None:
    (tmp_path / "secret").write_text("s3cret-s3cret-s3cret\n")
    (tmp_path / "secret").chmod(0o644)  # others may read it
    path = write(tmp_path, **{key: each.format(folder=tmp_path) for key, each in keys.items()})
    (found,) = problems(path)
    assert found.startswith(problem)
    assert "s3cret" not in found


def test_a_key_that_is_there_is_read_and_a_database_without_one_is_said(tmp_path: Path) -> None:
    path = write(tmp_path)
    database = tmp_path / "db" / "sessiond.db"
    database.touch(0o600)
    assert "but its key" in problems(path)[0]
    database.with_name("sessiond.db.key").write_text(f"{new_key().reveal()}\n")
    database.with_name("sessiond.db.key").chmod(0o600)
    check(path, os.environ, doubted)
    database.chmod(0o644)
    assert problems(path) == [
        f"store.path: {database} is open to group or others, wanted its owner alone: chmod 0600 it"
    ]


def test_a_place_that_is_not_there_is_said_but_for_the_one_that_systemd_makes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path)
    place = tmp_path / "db"
    place.rmdir()
    assert problems(path)[0].startswith(f"store.path: there is no {place}, wanted a folder of {ME}")
    monkeypatch.setattr(checking, "STATE", place)
    check(path, os.environ, doubted)


def test_a_place_where_nothing_can_be_written_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path)
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert problems(path)[0].startswith(f"store.path: {ME} may not write in {tmp_path}/db")


@pytest.mark.parametrize(("owner", "has_name"), [(4711, False), (1, True), (0, True)])
def test_root_looks_as_the_owner_of_the_database_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: int, has_name: bool
) -> None:
    became: list[str] = []
    for name in ("initgroups", "setgroups", "setgid", "setuid"):
        monkeypatch.setattr(os, name, lambda *_, name=name: became.append(name))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(checking, "_owner", lambda _: owner)
    check(write(tmp_path), os.environ, doubted)
    groups = "initgroups" if has_name else "setgroups"
    assert became == ([groups, "setgid", "setuid"] if owner else [])


def test_whose_the_daemon_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = tmp_path / "none" / "db"
    assert checking._owner(tmp_path / "db") == tmp_path.stat().st_uid
    monkeypatch.setattr(checking, "USER", ME)
    assert checking._owner(database) == os.geteuid()
    monkeypatch.setattr(checking, "USER", "no-such-user")
    assert checking._owner(database) == 0
    assert checking._name(64003) == "64003"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_a_link_to_a_file_of_root_s_does_not_have_plugins_tried_as_root(tmp_path: Path) -> None:
    (tmp_path / "ours").touch()
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "db").symlink_to(tmp_path / "ours")
    os.chown(theirs, 4711, 4711)
    assert checking._owner(theirs / "db") == 4711
