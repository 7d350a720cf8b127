"""The command: the order of the checks, how they are told, and the code it ends with."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from sessiond.ctl import show
from sessiond.ctl.commands import main
from sessiond.ctl.doctor import command, issuers, machine
from sessiond.ctl.doctor.finding import Finding, ok, warning, wrong

GOOD = """
[listen]
port = 5099
directory = "{folder}"
control = "{folder}/c"
[store]
path = "{folder}/db"
[[issuer]]
name = "corp"
issuer = "https://login.example.com/"
verify = "jwt"
audience = ["api://kdb"]
"""
Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(issuers, "issuers", lambda *_: iter([ok("issuer corp", "answers")]))
    monkeypatch.setattr(machine, "unit_state", dict)

    def invoke(*args: str) -> Result:
        return CliRunner().invoke(main, [*args], prog_name="sessionctl")

    return invoke


def test_an_installation_that_does_not_run_is_looked_at_all_the_same(
    run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "config.toml"
    path.write_text(GOOD.format(folder=tmp_path))
    found = run("--config", str(path), "doctor", "--json")
    assert found.exit_code == 1
    told = json.loads(found.output)
    assert told["outcome"] == "wrong"
    assert [each["check"] for each in told["findings"]] == [
        "config",
        "config",
        "systemd",
        "database",
        "store key",
        "proof key",
        "disk",
        "issuer corp",
        "kdb+ socket",
        "kdb+ socket",
        "kdb+ socket",
        "control socket",
    ]
    assert set(told["findings"][0]) == {"check", "outcome", "found", "advice"}


def test_the_socket_that_the_environment_names_counts_unless_an_option_names_another(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "config.toml"
    path.write_text(GOOD.format(folder=tmp_path))
    monkeypatch.setenv("SESSIOND_CONTROL", "/run/of/environment")
    monkeypatch.setattr(command, "DEFAULT", path)

    def socket(*options: str) -> str:
        found = json.loads(run(*options, "doctor", "--json").output)["findings"]
        (control,) = [each["found"] for each in found if each["check"] == "control socket"]
        return str(control)

    assert "/run/of/environment" in socket()
    assert f"{tmp_path}/c" in socket("--config", str(path))
    assert "/run/of/option" in socket("--control", "/run/of/option")


def test_a_wrong_configuration_is_a_finding_for_each_problem(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "config.toml"
    monkeypatch.setattr(command, "DEFAULT", path)
    path.write_text("[listen]\nport = 0\nprot = 1\n")
    found = run("--control", str(tmp_path / "c"), "doctor", "--json")
    told = json.loads(found.output)["findings"]
    assert found.exit_code == 1
    assert any("listen.port is 0" in each["found"] for each in told)
    assert any("listen.prot is unknown" in each["found"] for each in told)
    assert "check-config" in told[0]["advice"]


@pytest.mark.parametrize(
    ("findings", "code", "told"),
    [
        ([ok("a", "fine")], 0, "1 ok, 0 warning, 0 wrong"),
        ([warning("a", "odd", "look")], 0, "0 ok, 1 warning, 0 wrong"),
        ([wrong("a", "bad\x1b[2J", "mend it")], 1, "0 ok, 0 warning, 1 wrong"),
    ],
)
def test_what_is_found_is_told_and_ends_with_a_code(
    run: Run, monkeypatch: pytest.MonkeyPatch, findings: list[Finding], code: int, told: str
) -> None:
    monkeypatch.setattr(command, "examine", lambda _: iter(findings))
    found = run("doctor")
    assert found.exit_code == code
    assert found.output.splitlines()[-1] == told
    assert "\x1b" not in found.output
    for each in findings:
        assert each.outcome.value in found.output
        assert (f"-> {each.advice}" in found.output) == bool(each.advice)


def test_a_narrow_terminal_folds_what_is_found_and_loses_no_letter_of_it(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(show, "console", lambda **_: Console(width=40))
    path = "/etc/sessiond/of-a-long-name/config.toml"
    findings = [ok("clock by keycloak-in-frankfurt", path), wrong("a", "bad", path)]
    monkeypatch.setattr(command, "examine", lambda _: iter(findings))
    told = run("doctor").output.splitlines()
    assert all(len(line) <= 40 for line in told)
    columns = "".join(line[24:] for line in told[:-1])
    assert columns == f"{path}bad->{path}"


def test_without_a_file_named_the_units_is_taken(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(command, "DEFAULT", tmp_path / "none")
    found = run("--control", str(tmp_path / "c"), "doctor", "--json")
    told = json.loads(found.output)["findings"]
    assert told[0]["found"] == f"{tmp_path / 'none'} is not there"
    assert "sessiond init" in told[0]["advice"]
    assert [each["check"] for each in told].count("config") == 1
    assert told[-1]["found"] == f"{tmp_path / 'c'}: nobody listens there"
