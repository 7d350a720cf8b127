"""What is absent skips a test and is listed; in CI it may fail the test."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.needs import PROGRAMS, absent, is_error

ROOT = Path(__file__).parents[2]
WITHOUT = """
from pathlib import Path
import tests.needs
tests.needs.INSTALLED = Path("/nowhere")
"""
TESTS = """
import pytest

@pytest.mark.needs("real")
def test_real(): ...

@pytest.mark.needs("q")
def test_q(): ...

@pytest.mark.needs("keycloak")
def test_keycloak(): ...

def test_none_of_them(): ...
"""


def run(folder: Path, **environment: str) -> str:
    """Return what pytest prints over these tests on a machine without any of it."""
    (folder / "conftest.py").write_text(WITHOUT)
    (folder / "test_some.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider"]
    nothing = {
        "PATH": str(folder),
        "PYTHONPATH": str(ROOT),
        "HOME": str(folder),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # some take seconds to import
    }
    return subprocess.run(
        [*command, "--rootdir", folder, "-c", os.devnull, folder],
        cwd=folder,
        env=nothing | environment,
        capture_output=True,
        text=True,
        check=False,
    ).stdout


def test_what_is_absent_skips_and_is_listed(tmp_path: Path) -> None:
    printed = run(tmp_path)
    assert "1 passed, 3 skipped" in printed
    assert "real: test_some.py::test_real (no " in printed
    assert "q: test_some.py::test_q (no q" in printed
    assert "keycloak: test_some.py::test_keycloak (no java: apt-get install " in printed


def test_in_ci_an_absent_peer_is_an_error_and_an_absent_q_is_listed(tmp_path: Path) -> None:
    printed = run(tmp_path, CI="true")
    assert "1 passed, 1 skipped" in printed
    assert "2 errors" in printed
    assert "q: test_some.py::test_q (no q" in printed


def test_q_is_found_by_variable_or_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SESSIOND_TEST_Q", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert absent("q") is not None
    monkeypatch.setenv("SESSIOND_TEST_Q", "/opt/q/l64/q")
    assert absent("q") is None
    monkeypatch.delenv("SESSIOND_TEST_Q")
    (tmp_path / "q").touch(mode=0o755)
    assert absent("q") is None


def test_torq_is_found_by_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SESSIOND_TEST_TORQ", raising=False)
    assert absent("torq") == "no TorQ: set SESSIOND_TEST_TORQ to a checkout of it"
    monkeypatch.setenv("SESSIOND_TEST_TORQ", str(tmp_path))
    assert absent("torq") is not None
    (tmp_path / "torq.q").touch()
    assert absent("torq") is None
    monkeypatch.setenv("CI", "true")
    assert not is_error("torq")


def test_keycloak_needs_java_and_what_its_install_leaves(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("tests.keycloak.install.INSTALLED", tmp_path / "dist/.installed")
    assert absent("keycloak") == "no java: apt-get install default-jre-headless"
    (tmp_path / "java").touch(mode=0o755)
    assert absent("keycloak") == "no Keycloak: python -m tests.keycloak.install"
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist/.installed").touch()
    assert absent("keycloak") is None


def test_a_misspelt_need_is_refused() -> None:
    with pytest.raises(ValueError, match="reel"):
        absent("reel")


def test_only_ci_makes_absence_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    assert (is_error("real"), is_error("keycloak"), is_error("q")) == (True, True, False)
    monkeypatch.delenv("CI")
    assert is_error("real") is False


def test_absent_programs_are_named_by_the_packages_that_have_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("tests.needs.SERVERS", tmp_path)
    assert absent("systemd") == "apt-get install systemd"
    assert absent("debian") == "apt-get install debhelper debootstrap dpkg-dev fakeroot lintian"


@pytest.mark.parametrize("what", sorted(set(PROGRAMS) - {"debian"}))  # which runs by itself
def test_a_bare_machine_is_given_each_program_whose_absence_is_an_error_there(what: str) -> None:
    line = re.compile(r"^command -v (\S+) >/dev/null \|\| missing\+=\((\S+)\)", re.M)
    given = dict(line.findall((ROOT / ".ci/run").read_text()))
    for package in set(PROGRAMS[what].values()):
        its = [program for program, of in PROGRAMS[what].items() if of == package]
        assert package in {given.get(program) for program in its}
