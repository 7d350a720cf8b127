"""docs/clients.md, run: real kdb+ clients log in at the simulated gateway by the page's code."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE

import pytest
from sessiond_login.limits import DAEMON, LIMITS, Limit

from tests.clients.install import HERE as CLIENTS
from tests.clients.install import JAVAKDB, NODE_MODULES
from tests.integration.conftest import Start
from tests.integration.gateway import INTROSPECTION, Gateway, gateway
from tests.integration.guide import Block, blocks_of
from tests.integration.operating import Operator
from tests.issuer.install import node_home
from tests.needs import q_interpreter

PAGE = Path(__file__).parents[2] / "docs/clients.md"
TEXT = PAGE.read_text(encoding="utf-8")
JAVA = ("java", "-XX:TieredStopAtLevel=1", "-cp", str(JAVAKDB))
STAND_IN = """\
#!/bin/sh
case "$*" in
    token) cat "{folder}/password" ;;
    "token --json") cat "{folder}/token.json" ;;
    *) exit 64 ;;
esac
"""
STAND_IN_MODULE = """\
from pathlib import Path

def password(profile=None):
    return Path("{folder}/password").read_text().strip()
"""


@pytest.fixture
def gw(start: Start, folder: Path) -> Iterator[Gateway]:
    with gateway(start, folder) as running:
        yield running


@pytest.fixture
def opaque_gw(start: Start, folder: Path) -> Iterator[Gateway]:
    """Its users have short tokens, about which the issuer is asked."""
    with gateway(start, folder, INTROSPECTION) as running:
        yield running


def node() -> Path:
    home = node_home()
    assert home is not None
    return home / "bin" / "node"


def block(client: str) -> Block:
    """Return the page's code for a client that is run here."""
    (found,) = [each for each in blocks_of(PAGE) if (each.do, each.what) == ("run", client)]
    return found


def written(client: str, gw: Gateway, file: Path) -> Path:
    """Write the page's code for a client to a file, with the port of this test's gateway."""
    code = block(client).text
    assert ("gateway1" in code, "5010" in code) == (True, True)
    file.write_text(code.replace("gateway1", "127.0.0.1").replace("5010", str(gw.port)))
    return file


def surroundings(folder: Path, password: str) -> dict[str, str]:
    """Return an environment in which a person is signed in, as sessiond-login would tell."""
    (folder / "password").write_text(f"{password}\n")
    told = {"user": "alice", "password": password}
    (folder / "token.json").write_text(json.dumps(told) + "\n")
    program = folder / "sessiond-login"
    program.write_text(STAND_IN.format(folder=folder))
    program.chmod(0o755)
    (folder / "sessiond_login.py").write_text(STAND_IN_MODULE.format(folder=folder))
    path = f"{folder}:{os.environ['PATH']}"
    pykx = {"PYKX_UNLICENSED": "true", "PYTHONWARNINGS": "ignore"}
    return os.environ | {"PATH": path, "PYTHONPATH": str(folder)} | pykx


def run(gw: Gateway, command: list[str], folder: Path, password: str) -> str:
    """Run a client to its end, see that alice came, renewed and left, and return its output."""
    ended = subprocess.run(
        command,
        cwd=folder,
        env=surroundings(folder, password),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr
    assert password not in ended.stdout + ended.stderr
    gw.process.expect("accepted", user="alice")
    gw.process.expect("left", user="alice")
    (renewal,) = gw.daemon.logged(1, event="renewal", user="alice")
    assert renewal.get("reason") in (None, "revoked")  # the client may have left by then
    assert gw.process.count("refused") == 0
    return ended.stdout


@pytest.mark.needs("real")
def test_pykx_shows_the_table(gw: Gateway, tmp_path: Path) -> None:
    program = written("PyKX", gw, tmp_path / "trades.py")
    assert "AAPL" in run(gw, [sys.executable, str(program)], tmp_path, gw.password())


@pytest.mark.needs("clients")
def test_javakdb_shows_the_table(gw: Gateway, tmp_path: Path) -> None:
    program = written("javakdb", gw, tmp_path / "Trades.java")
    assert "AAPL" in run(gw, [*JAVA, str(program)], tmp_path, gw.password())


@pytest.mark.needs("clients")
def test_node_q_shows_the_table(gw: Gateway, tmp_path: Path) -> None:
    program = written("node-q", gw, tmp_path / "trades.mjs")
    (tmp_path / "node_modules").symlink_to(NODE_MODULES)
    assert "AAPL" in run(gw, [str(node()), str(program)], tmp_path, gw.password())


@pytest.mark.needs("q")
def test_q_shows_the_table(opaque_gw: Gateway, tmp_path: Path) -> None:
    program = written("q", opaque_gw, tmp_path / "trades.q")
    program.write_text(program.read_text() + "exit 0\n")
    password = opaque_gw.password()
    assert len(password) < 128  # what PeachQ sends of one
    q = str(q_interpreter())
    assert "AAPL" in run(opaque_gw, [q, str(program)], tmp_path, password)


@pytest.mark.parametrize(
    ("client", "file"),
    [
        pytest.param("PyKX", "closed.py", marks=pytest.mark.needs("real")),
        pytest.param("javakdb", "Closed.java", marks=pytest.mark.needs("clients")),
        pytest.param("node-q", "closed.mjs", marks=pytest.mark.needs("clients")),
    ],
)
def test_what_a_client_makes_of_a_closed_connection_is_what_the_page_says(
    gw: Gateway, tmp_path: Path, client: str, file: str
) -> None:
    runs = {".py": [sys.executable], ".java": [*JAVA], ".mjs": [str(node())]}
    command = [*runs[Path(file).suffix], str(CLIENTS / file), str(gw.port)]
    password = gw.password()
    environment = surroundings(tmp_path, password)
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True, env=environment) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        running.stdin.write(f"{password}\n")
        running.stdin.flush()
        if client == "node-q":
            running.stdin.close()
        assert running.stdout.readline() == "in\n"
        with Operator(gw.daemon) as operator:
            operator.revoke(user="alice")
        gw.process.expect("closed", user="alice")
        if client != "node-q":
            running.stdin.write("closed\n")
            running.stdin.close()
        printed = running.stdout.read().splitlines()
    (row,) = re.findall(rf"^\| {client} [\d.]+ \|.*$", TEXT, re.M)
    assert [line for line in dict.fromkeys(printed) if f"`{line}`" not in row] == []
    assert len(printed) == (2 if client == "node-q" else 3)
    assert gw.process.expect("refused", user="alice")["reason"] == "revoked"


def test_each_piece_of_code_is_run_here_or_says_that_it_is_not() -> None:
    sections = re.split(r"^## ", TEXT, flags=re.M)
    marked = list(blocks_of(PAGE))
    assert len(marked) == len(re.findall(r"^```\w", TEXT, re.M))
    assert {each.what for each in marked if each.do == "run"} == {"PyKX", "javakdb", "node-q", "q"}
    for section in sections:
        assert ("<!-- not run -->" not in section) or "*Not run" in section, section[:40]


def test_the_lengths_on_the_page_are_those_that_sessiond_login_warns_of() -> None:
    table = TEXT.partition("## How long a password may be")[2]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert rows == [row(limit) for limit in LIMITS]
    assert f"sessiond reads {DAEMON:,} bytes" in table


def row(limit: Limit) -> str:
    """Return a limit as the page has it."""
    takes = "any length" if limit.longest is None else f"{limit.longest:,} characters"
    takes += ", as far as is known" if limit.known == "works" else ""
    takes += "" if limit.colon else ", and loses what follows a colon"
    return f"| {limit.way} | {takes} | {limit.instead or '—'} |"


def test_what_the_page_links_to_is_there() -> None:
    headings = {
        re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-")
        for each in re.findall(r"^#+ (.*)$", TEXT, re.M)
    }
    prose = re.sub(r"^```.*?^```$", "", TEXT, flags=re.M | re.S)
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", prose):
        name, _, anchor = link.partition("#")
        assert (PAGE.parent / name).exists(), link
        assert not anchor or anchor in headings, link
