"""The manual pages are those of the commands as they are, and in order."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from sessiond import config as configuration
from sessiond.cli import main as sessiond
from sessiond.ctl import man
from sessiond.ctl.commands import main as sessionctl

ROOT = Path(__file__).parents[3]
PAGES = ("sessiond.8", "sessionctl.1", "sessiond-config.5")
AGAIN = "make them anew: python -m sessiond.ctl.man docs/man --example config.example.toml"


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return man.pages((ROOT / "config.example.toml").read_text())


@pytest.mark.parametrize("name", PAGES)
def test_the_pages_in_docs_are_up_to_date(made: dict[str, str], name: str) -> None:
    assert (ROOT / "docs/man" / name).read_text() == made[name], AGAIN


@pytest.mark.needs("man")
@pytest.mark.parametrize("name", PAGES)
def test_man_has_nothing_to_say_against_them(
    made: dict[str, str], name: str, tmp_path: Path
) -> None:
    page = tmp_path / name
    page.write_text(made[name])
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "MANROFFSEQ": "", "MANWIDTH": "80"}
    shown = subprocess.run(
        ["man", "--warnings", "-E", "UTF-8", "-l", str(page)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stderr == ""
    assert "NAME" in shown.stdout


def test_every_command_is_there(made: dict[str, str]) -> None:
    for group, page in ((sessiond, "sessiond.8"), (sessionctl, "sessionctl.1")):
        for name, command in group.commands.items():
            if not command.hidden:
                assert f"{group.name or ''} {name}".split()[-1].replace("-", "\\-") in made[page]
    assert ".SS sessionctl plugin new [OPTIONS] NAME" in made["sessionctl.1"]
    assert "\\-\\-forgive" in made["sessionctl.1"]


@pytest.mark.parametrize("name", PAGES)
def test_each_page_has_examples_files_and_where_to_read_on(made: dict[str, str], name: str) -> None:
    for section in ("EXAMPLES", "FILES", "SEE ALSO"):
        assert f"\n.SH {section}\n" in made[name]
    assert ("\n.SH EXIT STATUS\n" in made[name]) == (not name.endswith(".5"))


EXAMPLES = [
    line
    for _, commands in (*man.DAEMON_EXAMPLES, *man.TOOL_EXAMPLES)
    for line in commands.splitlines()
]


@pytest.mark.parametrize("line", EXAMPLES)
def test_each_example_is_a_command_as_it_is(line: str) -> None:
    words = shlex.split(re.split(r"[|<>]", line.strip("()").replace("eval ", ""))[0])
    if words[0] == "umask":
        words = words[2:]
    program, *args = shlex.split(words[0].strip("$()")) if len(words) == 1 else words
    group = {"sessiond": sessiond, "sessionctl": sessionctl}[program]
    context = click.Context(group, info_name=program, **group.context_settings)
    group.commands[args[0]].make_context(args[0], args[1:], parent=context)


def test_the_example_configuration_is_right() -> None:
    (issuer,) = configuration.read(man.CONFIG_EXAMPLE).issuers
    assert issuer.roles == {"kdb.read": "reader"}


def test_a_hidden_command_stays_hidden(
    monkeypatch: pytest.MonkeyPatch, made: dict[str, str]
) -> None:
    monkeypatch.setattr(sessionctl.commands["doctor"], "hidden", True)
    again = man.pages("# About.\n\n[listen]\n")
    assert ".SS sessionctl doctor" in made["sessionctl.1"]
    assert ".SS sessionctl doctor" not in again["sessionctl.1"]


def test_every_key_of_the_example_is_there_with_its_default_and_its_reason() -> None:
    page = man.pages(
        "# About it\n# all.\n\n[listen]  # where\nport = 5099  # of q\n"
        '"kdb.read" = "reader"\n\n# [[more]]  # again\n# path = ".x\\\\y" # \'quoted\'\n# A note.\n'
    )["sessiond-config.5"]
    assert "About it all." in page
    assert ".SS [listen]\nwhere\n.TP\n\\fBport\\fR = 5099\nof q\n" in page
    assert '\\fB"kdb.read"\\fR = "reader"\nAn example.' in page
    assert '.SS [[more]]\nagain\n.TP\n\\fBpath\\fR = ".x\\e\\ey"\n\\(aqquoted\\(aq\nA note.' in page


def test_pages_are_written_where_one_wants_them(made: dict[str, str], tmp_path: Path) -> None:
    example = str(ROOT / "config.example.toml")
    done = CliRunner().invoke(man.main, [str(tmp_path / "man"), "--example", example])
    assert done.exit_code == 0, done.output
    assert {each.name: each.read_text() for each in (tmp_path / "man").iterdir()} == made
