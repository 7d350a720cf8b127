"""Completion offers the names that the daemon knows, and never a user's."""

import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from sessiond.ctl import completion
from sessiond.ctl.client import ControlError
from sessiond.ctl.commands import main

ANSWERS: dict[str, Any] = {
    "/v1/processes?limit=1000": {
        "processes": [{"name": name} for name in ("rdb", "rdb", "gw1", "$(reboot)", "-x", "rdb 2")]
    },
    "/v1/status": {
        "issuers": [{"name": "corp"}, {"name": "partner"}],
        "subscribers": [{"name": "audit"}],
    },
}


class Asked:
    """Stands for the client."""

    paths: list[str] = []  # noqa: RUF012 - noted by every instance

    def __init__(self, path: str, *, timeout: float) -> None:
        assert timeout <= 1
        self.paths.append(path)

    def __enter__(self) -> "Asked":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def get(self, path: str) -> Any:
        return ANSWERS[path]


@pytest.fixture(autouse=True)
def _daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completion, "Client", Asked)
    monkeypatch.setattr(Asked, "paths", [])


def completed(*args: str, begun: str = "") -> list[str]:
    shell = ShellComplete(main, {}, "sessionctl", "_SESSIONCTL_COMPLETE")
    return [each.value for each in shell.get_completions(list(args), begun)]


def test_names_of_processes_are_offered_once_and_only_harmless_ones() -> None:
    assert completed("list", "--process") == ["gw1", "rdb"]
    assert completed("revoke", "--process", begun="r") == ["rdb"]


def test_names_of_issuers_and_subscribers_are_offered() -> None:
    assert completed("revoke", "--issuer") == ["corp", "partner"]
    assert completed("subscribers", "--retry") == ["audit"]
    assert completed("subscribers", "--drop") == ["audit"]


def test_users_are_not_offered() -> None:
    assert completed("list", "--user") == []
    assert Asked.paths == []


def test_the_daemon_that_the_line_names_is_asked(tmp_path: Path) -> None:
    completed("--control", "/named", "list", "--issuer")
    assert Asked.paths == ["/named"]
    assert completed("--config", str(tmp_path / "none"), "list", "--issuer") == []


def test_without_a_daemon_nothing_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ControlError("no daemon", 69)

    monkeypatch.setattr(completion, "Client", refuse)
    assert completed("list", "--issuer") == []


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_each_shell_has_its_script(shell: str) -> None:
    found = CliRunner().invoke(main, ["completion", shell], prog_name="sessionctl")
    assert found.exit_code == 0
    assert "_SESSIONCTL_COMPLETE" in found.output
    assert "sessionctl" in found.output


def test_bash_takes_the_script() -> None:
    script = CliRunner().invoke(main, ["completion", "bash"], prog_name="sessionctl").output
    bash = shutil.which("bash")
    assert bash is not None
    checked = f"{script}\ncomplete -p sessionctl"
    told = subprocess.run([bash, "-c", checked], capture_output=True, text=True, check=True)
    assert "_sessionctl_completion" in told.stdout


def test_another_shell_is_wrong_usage() -> None:
    found = CliRunner().invoke(main, ["completion", "tcsh"], prog_name="sessionctl")
    assert found.exit_code == os.EX_USAGE == 64


def test_a_name_of_a_socket_that_nobody_answers_at_is_no_delay(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(completion, "WITHIN", 0.05)
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("c")
        listener.listen(1)
        assert completed("--control", "c", "list", "--issuer") == []
