"""What the README shows is so: its configuration, its program, and the demo's output."""

import re
import shlex
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sessiond import __version__
from sessiond import config as configuration
from sessiond import install_units as units
from sessiond.api import SessionClosed, SessionRevoked
from sessiond.init import init
from sessiond.init.document import document
from sessiond.init.steps import at_the_issuer, on_the_machine
from tests.integration.test_demo import STORY
from tests.running_daemon import RunningDaemon
from tests.unit.init.answered import ANSWERS

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
CONFIGURATION = """\
[listen]
port = {port}
directory = "{folder}"
control = "{folder}/control.sock"
[store]
path = "{folder}/sessiond.db"
[[issuer]]
name = "corp"
issuer = "http://127.0.0.1:1/"
insecure_http = true
verify = "jwt"
audience = ["api://kdb"]
"""


def blocks(language: str) -> list[str]:
    """Return the README's code blocks in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def test_its_configuration_is_a_good_one(tmp_path: Path) -> None:
    (block,) = blocks("toml")
    file = tmp_path / "sessiond.toml"
    file.write_text(block)

    (issuer,) = configuration.load(file).issuers
    assert issuer.kind == "entra"
    assert issuer.subject_claim == "oid"


def test_its_configuration_is_what_init_writes() -> None:
    assert blocks("toml") == [document(ANSWERS["entra"])]


def test_its_steps_on_the_machine_are_those_that_init_leaves() -> None:
    there = Path("/")
    _, *steps = on_the_machine(
        ANSWERS["entra"], units.commands(there), root=there, is_proof_placed=False
    )
    assert "".join(f"{step.strip()}\n" for step in steps) in blocks("sh")


def test_its_steps_at_keycloak_are_those_that_init_says() -> None:
    assert "\n".join([*at_the_issuer(ANSWERS["keycloak"]), ""]) in blocks("text")


def test_its_call_of_init_is_one_that_init_knows() -> None:
    call, _ = (block for block in blocks("sh") if block.startswith("sessiond init"))
    _, *options = shlex.split(call.replace("\\\n", ""))[1:]
    found = init.make_context("init", options).params
    assert document(replace(ANSWERS["entra"], program=found["program"])) == blocks("toml")[0]
    assert (found["audience"][0], found["entra"]) == (
        ANSWERS["entra"].audience[0],
        ANSWERS["entra"].issuer.split("/")[3],
    )


def test_its_program_learns_who_a_running_daemon_is(tmp_path: Path) -> None:
    (block,) = (each for each in blocks("python") if "qipc" in each)
    shown = [text for text in blocks("text") if text.startswith("sessiond 0")]
    with RunningDaemon(tmp_path, CONFIGURATION) as daemon:
        program = block.replace("/tmp/kx.5099", daemon.path)
        assert program != block
        run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout == f"sessiond {__version__}\n"
    assert run.stdout in shown


def test_its_plugin_hears_of_revocations(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = (each for each in blocks("python") if "class Chat" in each)
    written: dict[str, Any] = {}
    exec(block, written)  # noqa: S102 - the README's own
    at = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
    for event in (SessionClosed(at=at, user="bob"), SessionRevoked(at=at, user="alice")):
        written["subscriber"]().receive(event)
    assert capsys.readouterr().out == "alice was shut out at 09:30\n"


@pytest.mark.parametrize("pattern", STORY)
def test_it_shows_what_the_demo_tells(pattern: str) -> None:
    (shown,) = (text for text in blocks("text") if "at work" in text)
    assert re.search(pattern, shown)


def test_what_it_links_to_is_there() -> None:
    root = Path(__file__).parents[2]
    links = re.findall(r"\]\((?!https?:|#)([^)]+)\)", README)
    assert links
    assert [link for link in links if not (root / link.partition("#")[0]).exists()] == []
