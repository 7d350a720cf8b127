"""`sessiond install-units`: what it would write, what it writes, and what it leaves alone."""

import os
import stat
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sessiond.cli import main
from sessiond.core.errors import ConfigError
from sessiond.install_units import PLACES, Values, apply, plan, told, values_of

ROOT = Path(__file__).parents[2]
CONFIG = """
[listen]
port = 6001
directory = "/srv/q"
path = {path}
control = "/run/other/c.sock"
control_group = "operators"
[store]
path = "/srv/sessiond/db"
[refresh]
timeout = 60.5
[[issuer]]
name = "corp"
issuer = "https://login.example.com/"
verify = "jwt"
audience = ["api://kdb"]
"""
PROGRAM = Path("/srv/venv/bin/sessiond")


@pytest.fixture(autouse=True)
def _installed_at_a_plain_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """The checkout may be anywhere, also where no unit could name it."""
    monkeypatch.setattr(sys, "executable", str(PROGRAM.with_name("python")))


def config(folder: Path, *, path: str = "true") -> Path:
    file = folder / "config.toml"
    file.write_text(CONFIG.format(path=path))
    return file


def content(root: Path, name: str) -> str:
    return (root / PLACES[name]).read_text()


def written(root: Path) -> set[str]:
    return {str(each.relative_to(root)) for each in root.rglob("*") if each.is_file()}


def lines(root: Path, *, is_real: bool = False, values: Values | None = None) -> list[str]:
    values = values or values_of(None)
    return list(told(plan(values, root), values, root, is_real=is_real))


def test_by_default_nothing_is_written_and_all_of_it_is_shown(tmp_path: Path) -> None:
    shown = "\n".join(lines(tmp_path))
    assert written(tmp_path) == set()
    for place in PLACES.values():
        assert f"+++ {tmp_path / place}\n" in shown
    assert "+ListenStream=@/tmp/kx.5099\n" in shown
    assert f"+ExecStart={PROGRAM} run --config /etc/sessiond/config.toml\n" in shown
    assert "# Nothing was written: use --apply. Then, as root:" in shown


def test_what_is_in_the_checkout_is_what_is_written_but_for_the_program(tmp_path: Path) -> None:
    apply(plan(Values(), tmp_path), force=False)
    assert written(tmp_path) == set(PLACES.values())
    for name in PLACES:
        mark, _, text = content(tmp_path, name).partition("\n")
        assert mark.startswith("# Written by `sessiond install-units`, ")
        assert text == (ROOT / "systemd" / name).read_text()
        assert stat.S_IMODE((tmp_path / PLACES[name]).stat().st_mode) == 0o644


def test_every_value_of_the_configuration_stands_in_the_units(tmp_path: Path) -> None:
    file = config(tmp_path)
    apply(plan(values_of(file), tmp_path), force=False)
    every = "".join(content(tmp_path, name) for name in PLACES)
    for default in ("kx.5099", "/run/sessiond/control.sock", "/etc/sessiond/config", "/opt/"):
        assert default not in every
    service = content(tmp_path, "sessiond.service").splitlines()
    for line in (
        f"ConditionPathExists={file}",
        f"ExecStart={PROGRAM} run --config {file}",
        "TimeoutStopSec=76",
        "ReadWritePaths=/srv/sessiond",
        "LoadCredentialEncrypted=store:sessiond.store",
        "LoadCredentialEncrypted=corp.client_secret:sessiond.corp.client_secret",
        "LoadCredentialEncrypted=corp.refresh_client_secret:sessiond.corp.refresh_client_secret",
        "LoadCredentialEncrypted=corp.web_client_secret:sessiond.corp.web_client_secret",
    ):
        assert line in service
    assert "ListenStream=@/srv/q/kx.6001\n" in content(tmp_path, "sessiond-abstract.socket")
    assert "ListenStream=/srv/q/kx.6001\n" in content(tmp_path, "sessiond-path.socket")
    control = content(tmp_path, "sessiond-control.socket")
    assert "ListenStream=/run/other/c.sock\n" in control
    assert "SocketUser=sessiond\nSocketGroup=operators\n" in control
    assert "\nx /srv/q/kx.6001\n" in content(tmp_path, "sessiond.tmpfiles")


def test_without_the_path_its_unit_is_gone_and_not_asked_for(tmp_path: Path) -> None:
    apply(plan(values_of(config(tmp_path)), tmp_path), force=False)
    values = values_of(config(tmp_path, path="false"))
    planned = plan(values, tmp_path)
    assert any(
        line.startswith("-ListenStream=/srv/q")
        for each in planned
        for line in each.diff().splitlines()
    )
    apply(planned, force=False)
    assert not (tmp_path / PLACES["sessiond-path.socket"]).exists()
    assert "sessiond-path.socket" not in content(tmp_path, "sessiond.service")
    assert [each.path for each in plan(values, tmp_path) if each.is_changed] == []


def test_what_is_as_it_should_be_is_not_written_again(tmp_path: Path) -> None:
    apply(plan(values_of(None), tmp_path), force=False)
    before = {name: (tmp_path / place).stat().st_ino for name, place in PLACES.items()}
    again = plan(values_of(None), tmp_path)
    apply(again, force=False)
    assert before == {name: (tmp_path / place).stat().st_ino for name, place in PLACES.items()}
    assert sum(line.endswith(": as it should be") for line in lines(tmp_path)) == len(PLACES)


def test_a_unit_of_ours_is_brought_up_to_date(tmp_path: Path) -> None:
    apply(plan(Values(), tmp_path), force=False)
    planned = plan(Values(control_group="operators"), tmp_path)
    assert "-SocketGroup=sessiond\n+SocketGroup=operators\n" in planned[3].diff()
    apply(planned, force=False)
    assert "SocketGroup=operators\n" in content(tmp_path, "sessiond-control.socket")
    assert f"# {planned[3].path}: written" in told(planned, Values(), tmp_path, is_real=True)


@pytest.mark.parametrize("change", ["\n[Service]\nNice=5\n", None])
def test_a_local_change_is_kept_unless_forced(tmp_path: Path, change: str | None) -> None:
    apply(plan(Values(), tmp_path), force=False)
    unit = tmp_path / PLACES["sessiond.service"]
    mine = "[Service]\n" if change is None else unit.read_text() + change
    unit.write_text(mine)
    (tmp_path / PLACES["sessiond.tmpfiles"]).unlink()
    with pytest.raises(ConfigError, match=r"sessiond\.service, wanted .* drop-in .* --force"):
        apply(plan(Values(), tmp_path), force=False)
    assert unit.read_text() == mine
    assert not (tmp_path / PLACES["sessiond.tmpfiles"]).exists()
    apply(plan(Values(), tmp_path), force=True)
    assert written(tmp_path) == set(PLACES.values())
    assert unit.read_text() != mine


def test_what_cannot_stand_in_a_unit_is_refused_by_its_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"listen\.directory: '/srv/q q/kx\.1' has characters"):
        plan(Values(address="/srv/q q/kx.1"), tmp_path)


def test_a_file_that_cannot_be_read_or_written_is_named(tmp_path: Path) -> None:
    place = tmp_path / PLACES["sessiond.service"]
    place.mkdir(parents=True)
    with pytest.raises(ConfigError, match=rf"install-units: {place}: Is a directory"):
        plan(Values(), tmp_path)
    place.rmdir()
    place.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="is no text"):
        plan(Values(), tmp_path)
    place.unlink()
    planned = plan(Values(), tmp_path)
    place.mkdir()
    with pytest.raises(ConfigError, match=rf"install-units: {place}: Is a directory"):
        apply(planned, force=False)
    assert [each.name for each in place.parent.iterdir()] == [place.name]


def test_what_the_unit_would_hide_from_its_own_daemon_is_warned_about(tmp_path: Path) -> None:
    warned = lines(tmp_path, values=Values(program="/home/a/bin/sessiond", config="/tmp/c"))
    assert (
        sum(line.startswith(("# WARNING: /home/a/bin", "# WARNING: /tmp/c:")) for line in warned)
        == 2
    )


def test_for_this_machine_the_units_are_also_started() -> None:
    commands = lines(Path("/"), is_real=True)[-5:]
    assert commands == [
        "systemd-sysusers sessiond.conf",
        "systemd-tmpfiles --create sessiond.conf",
        "systemctl daemon-reload",
        "systemctl enable sessiond.service",
        "systemctl start sessiond.service",
    ]


def test_an_installed_package_has_the_units_in_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "units").mkdir()
    for name in PLACES:
        (tmp_path / "units" / name).write_text(f"# the packaged {name}\n")
    monkeypatch.setattr("sessiond.install_units.resources.files", lambda _: tmp_path)
    assert all("+# the packaged" in each.diff() for each in plan(Values(), tmp_path / "root"))


def test_the_command_shows_and_writes(tmp_path: Path) -> None:
    def run(*more: str) -> Result:
        return CliRunner().invoke(main, ["install-units", "--root", str(tmp_path), *more])

    assert "+ListenStream=@/srv/q/kx.6001" in run("--config", str(config(tmp_path))).stdout
    assert written(tmp_path) == {"config.toml"}
    assert run("--apply").exit_code == os.EX_OK
    (tmp_path / PLACES["sessiond.service"]).write_text("mine\n")
    refused = run("--apply")
    assert (refused.exit_code, refused.stdout) == (os.EX_CONFIG, "")
    assert run("--apply", "--force").exit_code == os.EX_OK
