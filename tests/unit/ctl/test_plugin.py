"""What `sessionctl plugin new` makes, and what it refuses to make."""

import json
import os
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sessiond.ctl import plugin
from sessiond.ctl.commands import main

KINDS = {
    "subscriber": ("sessiond.subscribers", "subscriber"),
    "verifier": ("sessiond.verifiers", "verifier"),
    "role-source": ("sessiond.role_sources", "role_source"),
}


def new(*args: str) -> Result:
    return CliRunner().invoke(main, ["plugin", "new", *args], prog_name="sessionctl")


@pytest.mark.parametrize("kind", KINDS)
def test_a_plugin_is_made_with_its_entry_point(kind: str, tmp_path: Path) -> None:
    made = new("desk-roles", "--kind", kind, "--directory", str(tmp_path), "--json")
    assert made.exit_code == 0, made.output
    found = json.loads(made.output)
    target = tmp_path / "sessiond-desk-roles"
    assert (found["plugin"], found["kind"], found["directory"]) == ("desk-roles", kind, str(target))
    assert {Path(each) for each in found["files"]} == {
        each for each in target.rglob("*") if each.is_file()
    }
    project = tomllib.loads((target / "pyproject.toml").read_text())["project"]
    group, function = KINDS[kind]
    assert project["name"] == "sessiond-desk-roles"
    assert project["entry-points"] == {group: {"desk-roles": f"sessiond_desk_roles:{function}"}}
    for name in (".gitignore", "README.md", "sessiond_desk_roles/py.typed"):
        assert (target / name).exists()
    assert not any("$" in each.read_text() for each in target.rglob("*.py"))


def test_it_says_what_it_made_and_what_comes_next(tmp_path: Path) -> None:
    told = new("audit2", "--directory", str(tmp_path)).output
    assert str(tmp_path / "sessiond-audit2" / "pyproject.toml") in told
    assert told.splitlines()[-1].startswith("next: cd ")


def test_the_next_step_goes_where_sessiond_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    monkeypatch.setattr(os, "access", lambda *_: True)
    assert plugin.next_step(Path("sessiond-x")) == (
        "cd sessiond-x && ../.venv/bin/python -m pip install -e '.[dev]'"
        " && ../.venv/bin/python -m pytest"
    )
    monkeypatch.setattr(sys, "prefix", "/opt/my sessiond")
    elsewhere = "cd 'a b' && '/opt/my sessiond/bin/python' -m pip install"
    assert plugin.next_step(Path("a b")).startswith(elsewhere)


def test_beside_an_installation_that_is_not_ours_an_environment_is_made_that_sees_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "access", lambda *_: False)
    step = plugin.next_step(Path("x"))
    assert f"{sys.prefix}/bin/python -m venv .venv && echo 'import site; " in step
    install = ".venv/bin/python -m pip install -e '.[dev]'"
    assert step.endswith(f"/sessiond.pth && {install} && .venv/bin/python -m pytest")


def test_a_name_may_have_the_prefix_of_its_distribution(tmp_path: Path) -> None:
    assert new("sessiond-x", "--directory", str(tmp_path)).exit_code == 0
    assert (tmp_path / "sessiond-x").is_dir()


@pytest.mark.parametrize("name", ["", "A", "1a", "a_b", "a--b", "a-", "../a", "a" * 41, "ä"])
def test_what_is_no_name_is_refused(name: str, tmp_path: Path) -> None:
    refused = new(name, "--directory", str(tmp_path))
    assert refused.exit_code == 64
    assert "lower-case letters" in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    assert new("a", "--directory", str(tmp_path)).exit_code == 0
    (tmp_path / "sessiond-a" / "README.md").write_text("mine")
    refused = new("a", "--directory", str(tmp_path))
    assert (refused.exit_code, "is there already" in refused.stderr) == (64, True)
    assert (tmp_path / "sessiond-a" / "README.md").read_text() == "mine"


def test_a_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused = new("a", "--directory", str(tmp_path / "file" / "below"))
    assert refused.exit_code == 64
    assert "cannot be made: Not a directory" in refused.stderr
