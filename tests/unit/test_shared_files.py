"""The hook, the example and the alerts are at one place, whichever way sessiond was installed."""

import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from sessiond.cli import main
from sessiond.core.errors import ConfigError
from sessiond.shared_files import EXAMPLE, HOOK, MANUALS, PACKAGED, PLACE, plan, told, write

ROOT = Path(__file__).parents[2]


def below(root: Path, place: str) -> Path:
    return root / place.lstrip("/")


def test_q_finds_every_file_of_the_hook(tmp_path: Path) -> None:
    write(plan(tmp_path))
    hook = below(tmp_path, HOOK).parent
    assert {each.name for each in hook.iterdir()} == {
        each.name for each in (ROOT / "plugins/torq").iterdir() if each.is_file()
    }
    assert below(tmp_path, HOOK).read_bytes() == (ROOT / "plugins/torq/sessiond.q").read_bytes()


def test_the_example_the_alerts_the_dashboard_and_a_script_are_beside_it(tmp_path: Path) -> None:
    write(plan(tmp_path))
    place = below(tmp_path, PLACE)
    for name, source in {
        "config.example.toml": "config.example.toml",
        "alerts.yml": "docs/alerts.yml",
        "issuers.md": "docs/issuers.md",
        "grafana-dashboard.json": "docs/grafana-dashboard.json",
        "examples/events.sh": "docs/examples/events.sh",
    }.items():
        assert (place / name).read_bytes() == (ROOT / source).read_bytes()
    assert below(tmp_path, EXAMPLE) == place / "config.example.toml"
    assert stat.S_IMODE((place / "alerts.yml").stat().st_mode) == 0o644
    assert stat.S_IMODE((place / "examples/events.sh").stat().st_mode) == 0o755


def test_man_finds_the_pages(tmp_path: Path) -> None:
    write(plan(tmp_path))
    for name in ("man1/sessionctl.1", "man5/sessiond-config.5", "man8/sessiond.8"):
        assert (below(tmp_path, MANUALS) / name).is_file()


def test_where_a_package_has_brought_the_pages_they_are_not_doubled(tmp_path: Path) -> None:
    packaged = below(tmp_path, PACKAGED)
    packaged.parent.mkdir(parents=True)
    packaged.touch()
    write(plan(tmp_path))
    assert not below(tmp_path, MANUALS).exists()
    assert below(tmp_path, HOOK).exists()


def test_only_what_differs_is_written_and_what_is_done_is_told(tmp_path: Path) -> None:
    planned = plan(tmp_path)
    first = list(told(planned, tmp_path, is_real=False))
    assert first[0] == f"# {tmp_path}{PLACE}: {len(planned) - 3} files to be written"
    assert first[1] == f"# {tmp_path}{MANUALS}: 3 files to be written"
    write(planned)
    below(tmp_path, HOOK).write_text("an older version")
    again = plan(tmp_path)
    assert [each.path for each in again if each.is_changed] == [below(tmp_path, HOOK)]
    assert list(told(again, tmp_path, is_real=True)) == [
        f"# {tmp_path}{PLACE}: 1 files written",
        f"# {tmp_path}{MANUALS}: as it should be",
    ]
    kept = below(tmp_path, EXAMPLE).stat().st_ino
    write(again)
    assert below(tmp_path, EXAMPLE).stat().st_ino == kept


def test_a_file_that_cannot_be_written_is_named_with_what_to_do(tmp_path: Path) -> None:
    below(tmp_path, PLACE).parent.mkdir(parents=True)
    below(tmp_path, PLACE).write_text("in the way")
    with pytest.raises(ConfigError, match=r"usr/share/sessiond/.* cannot be written: .*as root"):
        write(plan(tmp_path))


def test_an_installed_wheel_has_them_in_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    share = tmp_path / "share"
    for name in (
        "config.example.toml",
        "torq/sessiond.q",
        "torq/tests/token.csv",
        "docs/alerts.yml",
    ):
        (share / name).parent.mkdir(parents=True, exist_ok=True)
        (share / name).write_text("packaged")
    for folder in ("examples", "man"):
        (share / folder).mkdir()
    monkeypatch.setattr("sessiond.shared_files.resources.files", lambda _: tmp_path)
    planned = plan(tmp_path / "root")
    assert [str(each.path.relative_to(tmp_path / "root")) for each in planned] == [
        "usr/share/sessiond/config.example.toml",
        "usr/share/sessiond/torq/sessiond.q",
        "usr/share/sessiond/alerts.yml",
    ]


def test_install_units_brings_them_along(tmp_path: Path) -> None:
    shown = CliRunner().invoke(main, ["install-units", "--root", str(tmp_path)])
    assert "files to be written" in shown.stdout
    assert not below(tmp_path, HOOK).exists()
    CliRunner().invoke(main, ["install-units", "--root", str(tmp_path), "--apply"])
    assert below(tmp_path, HOOK).exists()
