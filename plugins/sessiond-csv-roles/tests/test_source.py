"""The file as it is now, for as long as nobody else may write it."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sessiond_csv_roles import CsvRoles, source

from sessiond.api import IssuerUnavailable, Principal, SettingsError

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


def csv_file(folder: Path, text: str) -> Path:
    path = folder / "roles.csv"
    path.write_text(text)
    path.chmod(0o640)
    return path


def roles_of(made: CsvRoles, name: str) -> list[str]:
    principal = Principal(issuer="corp", subject="s-1", name=name)
    return sorted(made.roles(principal, now=NOW).roles)


def test_a_user_has_what_the_file_says_and_a_stranger_has_nothing(tmp_path: Path) -> None:
    made = source(path=str(csv_file(tmp_path, "alice,trading\n")))
    assert roles_of(made, "ALICE") == ["trading"]
    assert roles_of(made, "mallory") == []


def test_a_change_of_the_file_is_seen(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "alice,trading\n")
    made = source(path=str(path))
    (tmp_path / "new").mkdir()
    csv_file(tmp_path, "alice,support\nalice,audit\n")
    assert roles_of(made, "alice") == ["audit", "support"]
    newer = csv_file(tmp_path / "new", "alice,renamed\n")
    newer.rename(path)
    assert roles_of(made, "alice") == ["renamed"]


def test_a_file_that_went_wrong_has_no_answer_until_it_is_mended(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "alice,trading\n")
    made = source(path=str(path))
    for break_it in (
        lambda: csv_file(tmp_path, "alice\n"),
        lambda: path.chmod(0o660),
        lambda: path.unlink(),
    ):
        break_it()
        with pytest.raises(IssuerUnavailable, match=r"roles\.csv"):
            roles_of(made, "alice")
    csv_file(tmp_path, "alice,trading\n")
    assert roles_of(made, "alice") == ["trading"]


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({}, "path is missing"),
        ({"path": "roles.csv"}, "path is wrong"),
        ({"path": "/none/such"}, "path: cannot read /none/such"),
        ({"file": "/x", "path": "/none/such"}, "file is unknown"),
    ],
)
def test_wrong_settings_are_named(keys: dict[str, object], problem: str) -> None:
    with pytest.raises(SettingsError) as raised:
        source(**keys)
    assert problem in str(raised.value)


def test_a_file_that_others_may_write_is_refused_at_the_start(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "alice,trading\n")
    path.chmod(0o646)
    with pytest.raises(SettingsError, match=r"^path: .*mode 0646.*chmod go-w"):
        source(path=str(path))
