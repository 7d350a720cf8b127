"""Files are judged by who owns them and who else could read them."""

import os
import pwd
from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest

from sessiond.config import Config, IssuerConfig, ListenConfig, StoreConfig, WebClientConfig
from sessiond.ctl.doctor import files
from sessiond.ctl.doctor.files import Where
from sessiond.ctl.doctor.finding import Finding, Outcome

OURS = Where(owner=os.geteuid(), credentials=None)
ISSUER = IssuerConfig(name="corp", issuer="https://login.example.com/", verify="jwt")
CONFIG = Config(issuers=(ISSUER,))


def outcomes(findings: Iterable[Finding]) -> list[tuple[str, str]]:
    return [(each.check, each.outcome.value) for each in findings]


def file(path: Path, mode: int) -> Path:
    path.write_text("x" * 44)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(("mode", "outcome"), [(0o644, "ok"), (0o600, "ok"), (0o664, "wrong")])
def test_nobody_else_may_write_the_configuration(tmp_path: Path, mode: int, outcome: str) -> None:
    (found,) = files.config_file(file(tmp_path / "c", mode), OURS)
    assert found.outcome.value == outcome
    assert f"{mode:04o}" in found.found
    assert found.advice == ("" if outcome == "ok" else f"chmod 0644 {tmp_path / 'c'}")


def test_what_belongs_to_somebody_else_is_wrong(tmp_path: Path) -> None:
    path = file(tmp_path / "c", 0o600)
    if os.geteuid() == 0:
        os.chown(path, 64000, -1)
        (found,) = files.config_file(path, Where(owner=64001, credentials=None))
        assert found.found.endswith("of 64000: the daemon runs as 64001")
        assert found.advice == f"chown 64001 {path}"
        assert outcomes(files.config_file(path, Where(owner=64000, credentials=None))) == [
            ("config", "ok")
        ]
    assert outcomes(files.config_file(path, Where(owner=None, credentials=None))) == [
        ("config", "ok")
    ]


def test_what_is_not_there_or_no_file_is_wrong(tmp_path: Path) -> None:
    assert outcomes(files.config_file(tmp_path / "none", OURS)) == [("config", "wrong")]
    (found,) = files.config_file(tmp_path, OURS)
    assert "no regular file" in found.found


def test_a_database_has_its_log_and_its_key_looked_at_too(tmp_path: Path) -> None:
    database = file(tmp_path / "db", 0o600)
    file(tmp_path / "db-wal", 0o640)
    file(tmp_path / "db.key", 0o600)
    assert outcomes(files.files(CONFIG, database, OURS)) == [
        ("database", "ok"),
        ("database", "wrong"),
        ("store key", "ok"),
        ("proof key", "warning"),
    ]


def test_the_secret_of_the_browsers_client_is_looked_at_as_the_others(tmp_path: Path) -> None:
    def found(where: Where, secret: str = "") -> list[tuple[str, str]]:
        client = WebClientConfig(client_id="kdb-web", client_secret_file=secret)
        issuer = msgspec.structs.replace(ISSUER, web=client)
        config = msgspec.structs.replace(CONFIG, issuers=(issuer,))
        checks = outcomes(files.files(config, tmp_path / "db", where))
        return [each for each in checks if each[0].startswith("corp ")]

    assert found(OURS) == []  # a public client
    open_to_all = str(file(tmp_path / "web", 0o644))
    assert found(OURS, open_to_all) == [("corp web_client_secret", "wrong")]
    file(tmp_path / "corp.web_client_secret", 0o400)
    given = Where(owner=os.geteuid(), credentials=tmp_path)
    assert found(given) == [("corp web_client_secret", "ok")]


def test_before_the_first_start_nothing_is_wrong(tmp_path: Path) -> None:
    found = outcomes(files.files(CONFIG, tmp_path / "db", OURS))
    assert found == [("database", "warning"), ("store key", "warning"), ("proof key", "warning")]


def test_a_key_that_is_gone_is_not_left_to_a_first_start(tmp_path: Path) -> None:
    config = msgspec.structs.replace(CONFIG, store=StoreConfig(path=str(tmp_path / "sessiond.db")))

    def advice() -> str:
        found = files.files(config, tmp_path / "sessiond.db", OURS)
        return next(each.advice for each in found if each.check == "store key")

    assert "a first start makes it" in advice()
    file(tmp_path / "sessiond.db", 0o600)
    assert "bring it back" in advice()


def test_a_directory_that_everybody_writes_in_is_wrong_unless_it_is_sticky(tmp_path: Path) -> None:
    database = file(tmp_path / "db", 0o600)
    tmp_path.chmod(0o777)
    assert ("database", "wrong") in outcomes(files.files(CONFIG, database, OURS))
    tmp_path.chmod(0o1777)
    assert ("database", "wrong") not in outcomes(files.files(CONFIG, database, OURS))


def test_the_secrets_of_issuers_are_looked_at(tmp_path: Path) -> None:
    secret = file(tmp_path / "secret", 0o644)
    config = Config(
        issuers=(msgspec.structs.replace(ISSUER, client_secret_file=str(secret)),),
        store=StoreConfig(key_file=str(file(tmp_path / "key", 0o600))),
    )
    found = outcomes(files.files(config, file(tmp_path / "db", 0o600), OURS))
    assert found[-1] == ("corp client_secret", "wrong")
    assert ("store key", "ok") in found


def test_credentials_of_systemd_stand_for_files(tmp_path: Path) -> None:
    for name in ("store", "proof", "corp.refresh_client_secret"):
        file(tmp_path / name, 0o400)
    where = Where(owner=os.geteuid(), credentials=tmp_path)
    found = list(files.files(CONFIG, file(tmp_path / "db", 0o600), where))
    assert outcomes(found)[1:] == [
        ("store key", "ok"),
        ("proof key", "ok"),
        ("corp refresh_client_secret", "ok"),
    ]
    assert "q needs its own copy" in found[2].found


def proof(path: Path, *users: str | int) -> list[Finding]:
    config = Config(
        issuers=(ISSUER,), listen=ListenConfig(proof_key_file=str(path), allow_users=users)
    )
    found = files.files(config, path.with_name("db"), OURS)
    return [each for each in found if each.check in ("proof key", "q's user")]


def test_the_proof_key_is_for_qs_group_and_nobody_else(tmp_path: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    path = file(tmp_path / "proof", 0o640)
    assert outcomes(proof(path)) == [("proof key", "ok")]
    assert outcomes(proof(path, "root", os.geteuid())) == [("proof key", "ok")]
    assert outcomes(proof(path, "nobody")) == [("proof key", "ok"), ("proof key", "warning")]
    assert "who may connect, cannot read" in proof(path, "nobody")[1].found
    if os.geteuid() == 0:
        os.chown(path, -1, nobody.pw_gid)
        assert outcomes(proof(path, nobody.pw_uid)) == [("proof key", "ok")]
    path.chmod(0o644)
    assert outcomes(proof(path, "nobody")) == [("proof key", "wrong")]


def test_a_user_who_may_connect_must_exist(tmp_path: Path) -> None:
    path = file(tmp_path / "proof", 0o640)
    assert outcomes(proof(path, "no-such-user"))[1] == ("q's user", "wrong")
    assert outcomes(proof(path, 64002))[1] == ("q's user", "wrong")


def test_numbers_without_names_stay_numbers() -> None:
    assert (files.user_name(64003), files.group_name(64003)) == ("64003", "64003")
    assert (files.user_name(0), files.group_name(0)) == ("root", "root")


@pytest.mark.parametrize("call", ["stat", "exists"])
def test_what_may_not_be_looked_at_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path = file(tmp_path / "db", 0o600)
    file(tmp_path / "db.key", 0o600)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, call, refuse)
    where = Where(owner=os.geteuid(), credentials=tmp_path)
    found = list(files.files(CONFIG, path, where))
    assert [each.outcome for each in found].count(Outcome.WRONG) == 0
    assert found[0].found == "not looked at: Permission denied"
