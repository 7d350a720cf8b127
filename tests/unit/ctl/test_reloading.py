"""`sessionctl reload`: what would end is said before it does, and a wrong file ends with 78."""

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sessiond.ctl import asking, reloading, revoking
from sessiond.ctl.commands import main

GOOD: dict[str, Any] = {
    "applied": False,
    "errors": [],
    "needs_restart": [],
    "would_end": {},
    "ended": 0,
}


class Daemon:
    """Answers each reload with what the file comes to."""

    def __init__(self, **found: Any) -> None:
        self.found = {**GOOD, **found}
        self.asked: list[dict[str, Any]] = []

    def __call__(self, _: str) -> "Daemon":
        return self

    def __enter__(self) -> "Daemon":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        assert path == "/v1/reload"
        self.asked.append(body)
        if body["dry_run"] or self.found["errors"]:
            return self.found
        ended = sum(self.found["would_end"].values())
        return {**self.found, "applied": True, "ended": ended}


def reload(
    monkeypatch: pytest.MonkeyPatch, daemon: Daemon, *args: str, on_terminal: str | None = None
) -> Result:
    monkeypatch.setattr(asking, "Client", daemon)
    if on_terminal is not None:
        monkeypatch.setattr(revoking, "check_terminal", lambda: None)
    return CliRunner().invoke(main, ["reload", *args], input=on_terminal, prog_name="sessionctl")


def test_a_file_that_ends_nothing_is_applied_without_a_question(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    daemon = Daemon(needs_restart=["listen.port"])
    found = reload(monkeypatch, daemon, "--reason", "more issuers")
    assert (found.exit_code, found.output.splitlines()) == (
        0,
        [
            "applied; 0 sessions ended",
            "counts from the next start on: listen.port; systemctl restart sessiond",
        ],
    )
    assert daemon.asked[1:] == [{"dry_run": False, "reason": "more issuers"}]


def test_a_dry_run_says_what_would_end_and_applies_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = Daemon(would_end={"partner": 1, "corp": 2, "idle": 0})
    found = reload(monkeypatch, daemon, "--dry-run")
    told = "the file is good; it would end 2 sessions of issuer corp, 1 session of issuer partner\n"
    assert (found.exit_code, found.output) == (0, told)
    assert daemon.asked == [{"dry_run": True}]
    assert "would end no session" in reload(monkeypatch, Daemon(), "--dry-run").output


@pytest.mark.parametrize(("answer", "code", "asked"), [("n\n", 130, 1), ("y\n", 0, 2)])
def test_what_ends_sessions_is_asked_about_first(
    monkeypatch: pytest.MonkeyPatch, answer: str, code: int, asked: int
) -> None:
    daemon = Daemon(would_end={"corp": 2})
    found = reload(monkeypatch, daemon, on_terminal=answer)
    assert "Ends 2 live sessions (2 sessions of issuer corp). Go on?" in found.output
    assert (found.exit_code, len(daemon.asked)) == (code, asked)


def test_without_a_terminal_what_ends_sessions_needs_a_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = Daemon(would_end={"corp": 2})
    found = reload(monkeypatch, daemon)
    assert (found.exit_code, len(daemon.asked)) == (64, 1)
    assert "--yes" in found.stderr
    found = reload(monkeypatch, daemon, "--yes")
    assert (found.exit_code, found.output) == (0, "applied; 2 sessions ended\n")


@pytest.mark.parametrize("args", [(), ("--dry-run",), ("--yes",)])
def test_a_wrong_file_ends_with_78_and_every_problem(
    monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...]
) -> None:
    daemon = Daemon(errors=["listen.prot is unknown", "log.level is 'x'"])
    found = reload(monkeypatch, daemon, *args)
    assert (found.exit_code, found.stderr.splitlines()) == (
        78,
        [
            "sessionctl: listen.prot is unknown",
            "sessionctl: log.level is 'x'",
            "sessionctl: nothing is changed: mend the file, and try again",
        ],
    )
    assert daemon.asked == [{"dry_run": True}]


def test_scripts_have_it_as_json_whatever_it_comes_to(monkeypatch: pytest.MonkeyPatch) -> None:
    found = reload(monkeypatch, Daemon(), "--json")
    assert json.loads(found.stdout) == {**GOOD, "applied": True}
    wrong = reload(monkeypatch, Daemon(errors=["x"]), "--json")
    assert (wrong.exit_code, json.loads(wrong.stdout)["errors"]) == (78, ["x"])


def test_the_command_and_the_daemon_mean_the_same_path() -> None:
    assert reloading.PATH == "/v1/reload"
