"""The files, their owners and modes; what is there gives way to nobody unasked."""

import os
import pwd
import stat
from pathlib import Path

import pytest

from sessiond.core.errors import ConfigError, InTheWayError
from sessiond.init import placing
from sessiond.init.placing import Accounts, check_way, group_of, put_config, put_proof
from sessiond.whole_file import below
from tests.unit.init.answered import image

ROOT = Path("/")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_configuration_is_for_everybody_to_read(tmp_path: Path) -> None:
    config = tmp_path / "etc/sessiond/config.toml"
    put_config(config, "text\n", force=False)
    assert (config.read_text(), mode(config), mode(config.parent)) == ("text\n", 0o644, 0o755)


def test_one_that_is_there_stays_unless_forced_and_is_kept_then(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("mine")
    said = r"is there already.*--force.*config\.toml\.old"
    with pytest.raises(InTheWayError, match=said):
        check_way(config, force=False)
    with pytest.raises(InTheWayError, match=said):
        put_config(config, "", force=False)
    assert config.read_text() == "mine"
    check_way(config, force=True)
    put_config(config, "new", force=True)
    assert (config.read_text(), (tmp_path / "config.toml.old").read_text()) == ("new", "mine")


def test_who_forces_it_twice_keeps_what_was_there_at_first_as_secret_as_it_was(
    tmp_path: Path,
) -> None:
    config = tmp_path / "config.toml"
    config.write_text("mine")
    config.chmod(0o600)
    put_config(config, "one", force=True)
    put_config(config, "two", force=True)
    assert [(tmp_path / f"config.toml.old{each}").read_text() for each in ("", "1")] == [
        "mine",
        "one",
    ]
    assert mode(tmp_path / "config.toml.old") == 0o600
    assert mode(config) == 0o644


def test_a_proof_key_that_is_there_is_kept(tmp_path: Path) -> None:
    proof = tmp_path / "sessiond/proof"
    accounts = Accounts(tmp_path)
    assert put_proof(proof, group="kdb", accounts=accounts)
    key = proof.read_text()
    assert len(key) == 45
    assert mode(proof) == 0o640
    assert not put_proof(proof, group="kdb", accounts=accounts)
    assert proof.read_text() == key


def test_the_proof_key_is_given_to_the_daemon_and_qs_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "fchown", lambda _, uid, gid: given.append((uid, gid)))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with image(tmp_path, has_sessiond=True) as root:
        put_proof(root / "proof", group="quants", accounts=Accounts(root))
    assert given == [(900, 1600)]


@pytest.mark.parametrize(("has_sessiond", "uid"), [(False, 0), (True, 1000)])
def test_without_that_user_or_the_right_to_the_key_stays_with_who_made_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_sessiond: bool, uid: int
) -> None:
    given: list[object] = []
    monkeypatch.setattr(os, "fchown", lambda *args: given.append(args))
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    with image(tmp_path, has_sessiond=has_sessiond) as root:
        put_proof(root / "proof", group="quants", accounts=Accounts(root))
    assert given == []


def test_what_cannot_be_written_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "etc").write_text("in the way")
    for put in (
        lambda: put_config(tmp_path / "etc/config.toml", "", force=False),
        lambda: put_proof(tmp_path / "etc/proof", group="g", accounts=Accounts(tmp_path)),
    ):
        with pytest.raises(ConfigError, match=r"etc.* cannot be written: .*run this as root"):
            put()


def test_a_full_disk_is_said_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(placing, "write_whole", full)
    with pytest.raises(ConfigError, match=r"config\.toml cannot be written: No space left"):
        put_config(tmp_path / "config.toml", "", force=False)
    with pytest.raises(ConfigError, match=r"proof cannot be written: No space left"):
        put_proof(tmp_path / "proof", group="kdb", accounts=Accounts(tmp_path))


def test_an_images_users_are_its_own(tmp_path: Path) -> None:
    with image(tmp_path) as root:
        accounts = Accounts(root)
        assert (accounts.uid("kdb"), accounts.gid("quants")) == (1500, 1600)
        assert (accounts.uid("nobody"), accounts.gid("nobody")) == (None, None)
        assert (group_of(root, "kdb"), accounts.group_of("nobody")) == ("quants", None)
        assert (accounts.uid("1500"), accounts.gid("1600")) == (1500, 1600)
        assert (group_of(root, "1500"), group_of(root, "alone")) == ("quants", "1700")
        with pytest.raises(ConfigError, match=rf"no user nobody in {root}/etc/passwd, .*--q-group"):
            group_of(root, "nobody")
    assert Accounts(tmp_path / "empty").uid("root") is None


def test_this_machines_users_are_asked_of_it() -> None:
    accounts, me = Accounts(ROOT), pwd.getpwuid(os.getuid())
    assert (accounts.uid(me.pw_name), accounts.uid("no such user")) == (me.pw_uid, None)
    assert (accounts.uid(str(me.pw_uid)), accounts.uid("9" * 40)) == (me.pw_uid, None)
    assert (accounts.gid(group_of(ROOT, me.pw_name)), accounts.gid("no such group")) == (
        me.pw_gid,
        None,
    )
    with pytest.raises(ConfigError, match="there is no user no such user"):
        group_of(ROOT, "no such user")


def test_a_group_without_a_name_is_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless(_: int) -> None:
        raise KeyError

    monkeypatch.setattr("grp.getgrgid", nameless)
    me = pwd.getpwuid(os.getuid())
    assert group_of(ROOT, me.pw_name) == str(me.pw_gid)


def test_a_path_of_that_machine_is_below_its_root(tmp_path: Path) -> None:
    assert below(tmp_path, Path("/etc/x")) == tmp_path / "etc/x"
    assert below(ROOT, Path("/etc/x")) == Path("/etc/x")
