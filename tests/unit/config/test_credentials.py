"""Secrets from files: whose files are read, whose are refused, and that no error shows one."""

import base64
import os
from pathlib import Path

import pytest

from sessiond.config import credentials
from sessiond.config.credentials import new_key, proof_key, secret, store_key
from sessiond.core.errors import ConfigError
from sessiond.core.secret import Secret

NOWHERE: dict[str, str] = {}


def put(path: Path, content: str | bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(mode)
    return path


def read(path: Path) -> str:
    found = secret(str(path), key="issuer[a].client_secret_file", credential="x", environ=NOWHERE)
    assert found is not None
    return found.reveal()


def test_a_file_is_a_secret_without_its_last_newline(tmp_path: Path) -> None:
    assert read(put(tmp_path / "s", "hunter2\r\n")) == "hunter2"


def test_a_private_key_keeps_its_lines(tmp_path: Path) -> None:
    assert read(put(tmp_path / "s", "-----BEGIN\nabc\n-----END\n")) == "-----BEGIN\nabc\n-----END"


def test_a_link_to_a_good_file_is_followed(tmp_path: Path) -> None:
    put(tmp_path / "s", "hunter2")
    (tmp_path / "link").symlink_to(tmp_path / "s")

    assert read(tmp_path / "link") == "hunter2"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o610, 0o622, 0o777])
def test_a_file_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    path = put(tmp_path / "s", "hunter2", mode)

    with pytest.raises(ConfigError) as refused:
        read(path)
    assert str(refused.value) == (
        f"issuer[a].client_secret_file: {path} has mode {mode:04o}, which lets others at the "
        "secret, wanted 0600: chmod 0600 it"
    )


def test_a_file_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path / "s", "hunter2")
    owner = os.stat_result((0o100600, 0, 0, 1, 4242, 0, 7, 0, 0, 0))
    monkeypatch.setattr(os, "fstat", lambda _: owner)

    with pytest.raises(ConfigError, match="belongs to another user than root and sessiond's own"):
        read(path)


@pytest.mark.parametrize("content", [b"", b"\n", b" \n\n"])
def test_an_empty_file_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ConfigError, match=r"issuer\[a\]\.client_secret_file: .* is empty"):
        read(put(tmp_path / "s", content))


def test_a_directory_is_no_secret(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir(mode=0o700)

    with pytest.raises(ConfigError, match="is not a regular file"):
        read(tmp_path / "d")


def test_a_pipe_is_no_secret_and_does_not_hold_up_the_start(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p", 0o600)

    with pytest.raises(ConfigError, match="is not a regular file"):
        read(tmp_path / "p")


def test_a_configured_file_that_is_not_there_is_an_error_and_not_no_secret(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*: No such file or directory"):
        read(tmp_path / "none")


def test_a_file_longer_than_any_secret_is_refused(tmp_path: Path) -> None:
    assert len(read(put(tmp_path / "s", "x" * 65536))) == 65536
    with pytest.raises(ConfigError, match="longer than 65536 bytes"):
        read(put(tmp_path / "s", "x" * 65537))


def test_no_error_or_its_cause_shows_what_a_file_holds(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not UTF-8 text") as refused:
        read(put(tmp_path / "s", b"hunter2\xff"))
    assert "hunter2" not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__


# systemd's credentials


def test_without_a_file_the_credential_is_read(tmp_path: Path) -> None:
    put(tmp_path / "corp.client_secret", "hunter2\n")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}

    found = secret("", key="k", credential="corp.client_secret", environ=environ)
    assert found is not None
    assert found.reveal() == "hunter2"


def test_a_file_goes_before_a_credential(tmp_path: Path) -> None:
    put(tmp_path / "store", "credential")
    file = put(tmp_path / "file", "file")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}

    found = secret(str(file), key="k", credential="store", environ=environ)
    assert found is not None
    assert found.reveal() == "file"


@pytest.mark.parametrize("directory", ["", "/nonexistent"])
def test_no_file_and_no_credential_is_no_secret(directory: str) -> None:
    environ = {"CREDENTIALS_DIRECTORY": directory} if directory else NOWHERE

    assert secret("", key="k", credential="store", environ=environ) is None


def test_a_credential_may_show_the_mask_of_systemds_acl_but_nothing_for_others(
    tmp_path: Path,
) -> None:
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    put(tmp_path / "store", "hunter2", 0o440)
    assert secret("", key="k", credential="store", environ=environ) is not None

    (tmp_path / "store").chmod(0o444)
    with pytest.raises(ConfigError, match="systemd credential 'store'"):
        secret("", key="k", credential="store", environ=environ)


# The proof key


def proof(path: Path) -> str:
    found = proof_key(str(path), environ=NOWHERE)
    assert found is not None
    return found.reveal()


def test_the_proof_key_is_the_first_line_as_text_and_not_decoded(tmp_path: Path) -> None:
    key = base64.b64encode(bytes(32)).decode()

    assert proof(put(tmp_path / "p", f"{key}\r\nnot this\n", 0o640)) == key
    assert proof(put(tmp_path / "p", "  any text ", 0o640)) == "  any text "


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o650, 0o641])
def test_a_group_may_only_read_the_proof_key_and_others_nothing(tmp_path: Path, mode: int) -> None:
    with pytest.raises(ConfigError, match=r"listen\.proof_key_file: .*chmod 0640"):
        proof(put(tmp_path / "p", "key", mode))


def test_there_may_be_no_proof_key() -> None:
    assert proof_key("", environ=NOWHERE) is None


def test_the_proof_key_may_be_a_credential(tmp_path: Path) -> None:
    put(tmp_path / "proof", "key\n", 0o400)
    found = proof_key("", environ={"CREDENTIALS_DIRECTORY": str(tmp_path)})

    assert found is not None
    assert found.reveal() == "key"


@pytest.mark.parametrize("content", ["\nkey", "k\u00e9y\n", "k\x01ey\n"])
def test_a_proof_key_that_q_would_read_differently_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(
        ConfigError, match="first line is empty or not plain, must be printable ASCII"
    ):
        proof(put(tmp_path / "p", content))


# The store's key


def test_the_store_key_is_made_beside_the_database_once(tmp_path: Path) -> None:
    database = tmp_path / "sessiond.db"

    made = store_key("", database=database, environ=NOWHERE)
    database.touch()
    again = store_key("", database=database, environ=NOWHERE)

    assert made.same_as(again)
    assert len(base64.b64decode(made.reveal(), validate=True)) == 32
    assert (tmp_path / "sessiond.db.key").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sessiond.db", "sessiond.db.key"]


def test_no_new_key_is_made_for_an_old_database(tmp_path: Path) -> None:
    (tmp_path / "sessiond.db").touch()

    with pytest.raises(ConfigError, match=r"is there but its key .* is not"):
        store_key("", database=tmp_path / "sessiond.db", environ=NOWHERE)
    assert not (tmp_path / "sessiond.db.key").exists()


def test_a_key_made_by_another_process_meanwhile_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Secret("b3RoZXI=")

    def first_the_other() -> Secret:
        put(tmp_path / "sessiond.db.key", other.reveal())
        return Secret("bWluZQ==")

    monkeypatch.setattr(credentials, "new_key", first_the_other)
    found = store_key("", database=tmp_path / "sessiond.db", environ=NOWHERE)

    assert found.same_as(other)
    assert [path.name for path in tmp_path.iterdir()] == ["sessiond.db.key"]


def test_a_configured_key_goes_before_one_beside_the_database(tmp_path: Path) -> None:
    file = put(tmp_path / "key", "2:ring\n1:ring\n")
    put(tmp_path / "store", "credential")
    database = tmp_path / "sessiond.db"

    found = store_key(str(file), database=database, environ=NOWHERE)
    assert found.reveal() == "2:ring\n1:ring"
    found = store_key("", database=database, environ={"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert found.reveal() == "credential"
    assert not (tmp_path / "sessiond.db.key").exists()


def test_a_directory_that_is_not_there_gets_no_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"store\.key_file: cannot make .*No such file"):
        store_key("", database=tmp_path / "none" / "sessiond.db", environ=NOWHERE)


def test_a_directory_that_may_not_be_looked_into_is_a_config_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(_: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "exists", denied)
    with pytest.raises(ConfigError, match=r"store\.path: cannot look for .*: Permission denied"):
        store_key("", database=tmp_path / "sessiond.db", environ=NOWHERE)


def test_new_keys_are_32_bytes_and_never_the_same() -> None:
    keys = {new_key().reveal() for _ in range(100)}

    assert len(keys) == 100
    assert {len(base64.b64decode(key, validate=True)) for key in keys} == {32}
