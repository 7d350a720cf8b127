"""docs/clients.md, run: real kdb+ clients log in at the simulated gateway by the page's code."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE

import pytest
from sessiond_login.keeping.record import to_text
from sessiond_login.kept import Kept
from sessiond_login.limits import DAEMON, LIMITS, Limit
from sessiond_login.profiles import reading
from sessiond_login.secret import Secret

from tests.clients.install import HERE as CLIENTS
from tests.clients.install import JAVAKDB, NODE_MODULES
from tests.integration.conftest import Start
from tests.integration.gateway import INTROSPECTION, Gateway, gateway
from tests.integration.guide import Block, blocks_of
from tests.integration.operating import Operator
from tests.integration.terminal import PROGRAM
from tests.integration.test_operations_guide import anchors
from tests.issuer.install import node_home
from tests.needs import q_interpreter

PAGE = Path(__file__).parents[2] / "docs/clients.md"
TEXT = PAGE.read_text(encoding="utf-8")
OF_WHO_TESTS = re.compile(r"DISPLAY|WAYLAND|BROWSER|SSH|XDG|DBUS|SESSIOND|PYTHON")  # environment
JAVA = ("java", "-XX:TieredStopAtLevel=1", "-cp", str(JAVAKDB))


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


@dataclass(frozen=True, slots=True)
class Desk:
    """Where alice's clients run: a home in which she has signed in with sessiond-login."""

    home: Path
    password: str  # what sessiond-login gives

    @property
    def environment(self) -> dict[str, str]:
        return surroundings(self.home)


def surroundings(home: Path) -> dict[str, str]:
    """Return an environment that has sessiond-login, with no keyring and nobody to be asked."""
    kept = {name: value for name, value in os.environ.items() if not OF_WHO_TESTS.search(name)}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    pykx = {"PYKX_UNLICENSED": "true", "PYTHONWARNINGS": "ignore"}
    return kept | pykx | {"PATH": path, "HOME": str(home), "SESSIOND_LOGIN_KEEP": "file"}


def desk(gw: Gateway, home: Path) -> Desk:
    """Give alice a profile, as the daemon's operator makes it, and the tokens of a sign-in."""
    file = home / ".config/sessiond/login.toml"
    file.parent.mkdir(parents=True)
    made = [*PROGRAM, "client-profile", "--config", str(gw.daemon.folder / "config.toml")]
    subprocess.run([*made, "-o", str(file)], check=True)
    (profile,) = reading.read(file.read_text(), "it").profiles.values()
    tokens = gw.issuer.sign_in("alice", is_opaque=gw.is_opaque)
    kept = Kept(
        made_for=reading.made_for(profile),
        user="alice",
        access=Secret(tokens.access.reveal()),
        refresh=Secret(tokens.refresh.reveal()),
        since=time.time(),
        expires=time.time() + tokens.expires_in,
        send=profile.send,
        handed_over=False,
    )
    state = home / ".local/state/sessiond"
    state.mkdir(parents=True, mode=0o700)
    (state / "tokens-corp.json").touch(mode=0o600)
    (state / "tokens-corp.json").write_text(to_text(kept))
    given = subprocess.run(
        ["sessiond-login", "token"], env=surroundings(home), capture_output=True, text=True
    )
    assert given.returncode == 0, given.stderr
    return Desk(home, given.stdout.strip())


def run(gw: Gateway, command: list[str], at: Desk) -> str:
    """Run a client to its end, see that alice came, renewed and left, and return its output."""
    ended = subprocess.run(
        command,
        cwd=at.home,
        env=at.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr
    assert at.password not in ended.stdout + ended.stderr
    gw.process.expect("accepted", user="alice")
    gw.process.expect("left", user="alice")
    (renewal,) = gw.daemon.logged(1, event="renewal", user="alice")
    assert renewal.get("reason") in (None, "revoked")  # the client may have left by then
    assert gw.process.count("refused") == 0
    return ended.stdout


@pytest.mark.needs("real")
def test_pykx_shows_the_table(gw: Gateway, tmp_path: Path) -> None:
    program = written("PyKX", gw, tmp_path / "trades.py")
    assert "AAPL" in run(gw, [sys.executable, str(program)], desk(gw, tmp_path))


@pytest.mark.needs("clients")
def test_javakdb_shows_the_table(gw: Gateway, tmp_path: Path) -> None:
    program = written("javakdb", gw, tmp_path / "Trades.java")
    assert "AAPL" in run(gw, [*JAVA, str(program)], desk(gw, tmp_path))


@pytest.mark.needs("clients")
def test_node_q_shows_the_table(gw: Gateway, tmp_path: Path) -> None:
    program = written("node-q", gw, tmp_path / "trades.mjs")
    (tmp_path / "node_modules").symlink_to(NODE_MODULES)
    assert "AAPL" in run(gw, [str(node()), str(program)], desk(gw, tmp_path))


@pytest.mark.needs("q")
def test_q_shows_the_table(opaque_gw: Gateway, tmp_path: Path) -> None:
    program = written("q", opaque_gw, tmp_path / "trades.q")
    program.write_text(program.read_text() + "exit 0\n")
    at = desk(opaque_gw, tmp_path)
    assert len(at.password) < 128  # what PeachQ sends of one
    assert "AAPL" in run(opaque_gw, [str(q_interpreter()), str(program)], at)


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
    password, environment = gw.password(), surroundings(tmp_path)
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
    prose = re.sub(r"^```.*?^```$", "", TEXT, flags=re.M | re.S)
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", prose):
        name, _, anchor = link.partition("#")
        linked = PAGE.parent / name if name else PAGE
        assert linked.exists(), link
        assert not anchor or anchor in anchors(linked), link
