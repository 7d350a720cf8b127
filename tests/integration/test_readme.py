"""What the README shows is so: its configuration, its program, and the demo's output."""

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sessiond import __version__
from sessiond import config as configuration
from sessiond.api import SessionClosed, SessionRevoked
from tests.integration.test_demo import STORY
from tests.running_daemon import RunningDaemon

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
