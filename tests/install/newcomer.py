"""Somebody who has a bare Debian, this tree, an issuer, and the guide."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from tests.deb.machine import ENVIRONMENT, Machine, install_debian
from tests.install.guide import ROOT, steps

CHECKOUT = "root/sessiond"
WITHIN = 60.0  # seconds for what a process tells
NOT_THE_TREE = (".git", ".venv", "node_modules", "__pycache__", "./dist")
LOGIN_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ABROAD = ("--mount", "--uts", "--ipc", "--pid", "--cgroup")  # all namespaces but --net
LIFE = 600  # seconds of an access token
# The guide's issuer, and what stands for it there: the development one, whose tokens have a role.
ISSUER = "--issuer https://login.example.com/"
DEVELOPMENT = "--issuer {url} --insecure-http --role kdb.read=reader"

# Prints ACCESS;REFRESH. The password grant stands for the browser in which a user signs in.
SIGN_IN = """
import json, urllib.parse, urllib.request
form = {{"grant_type": "password", "client_id": "qstudio"}}
form |= {{"username": "alice", "password": "wonderland"}}
data = urllib.parse.urlencode(form).encode()
with urllib.request.urlopen("{url}/token", data) as answer:
    tokens = json.load(answer)
print(tokens["access_token"], tokens["refresh_token"], sep=";")
"""


def pack_debian(tarball: Path) -> None:
    """Make a tarball of a Debian that has nothing of ours."""
    with tempfile.TemporaryDirectory() as name:
        install_debian(Path(name))
        subprocess.run(["tar", "-C", name, "-cpf", tarball, "."], check=True)


def bare_debian(root: Path, tarball: Path) -> None:
    """Put that Debian at `root`, and this tree into root's home there."""
    subprocess.run(["tar", "-C", root, "-xpf", tarball], check=True)
    checkout = root / CHECKOUT
    checkout.mkdir()
    leave = [f"--exclude={name}" for name in NOT_THE_TREE]
    with subprocess.Popen(
        ["tar", "-C", ROOT, *leave, "-cf", "-", "."], stdout=subprocess.PIPE
    ) as packing:
        subprocess.run(
            ["tar", "-C", checkout, "--no-same-owner", "-xf", "-"], stdin=packing.stdout, check=True
        )
    _lend_pip_settings(root)


def _lend_pip_settings(root: Path) -> None:
    """Give pip there this machine's way to the package index: its address and its authority."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    )
    lines = ["[global]"]
    for line in listed.stdout.splitlines():
        name, _, value = line.partition("=")
        name, value = name.rpartition(".")[2], value.strip("'")
        if name == "cert":
            (root / "etc/index-authority.pem").write_bytes(Path(value).read_bytes())
            lines.append("cert = /etc/index-authority.pem")
        elif name in ("index-url", "extra-index-url", "trusted-host", "proxy", "default-timeout"):
            lines.append(f"{name} = {value}")
    (root / "etc/pip.conf").write_text("\n".join([*dict.fromkeys(lines), ""]))


class Newcomer:
    """Types what the guide says, as root on the machine."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.transcript: list[str] = []

    def does(self, step: str) -> str:
        """Run a block of the guide in the checkout; it must succeed. Return what it prints."""
        self.transcript.append(f"# {step.rstrip()}")
        # The machine is alone, but for fetching packages it has the network of this one.
        spaces = ABROAD if "apt-get" in step else ("--all",)
        script = f"cd /{CHECKOUT}\n{step}"
        run = subprocess.run(
            self.starting(
                "env", LOGIN_PATH, "bash", "-euo", "pipefail", "-c", script, spaces=spaces
            ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self.transcript.append(run.stdout.rstrip())
        assert run.returncode == 0, run.stdout
        return run.stdout

    def builds(self) -> None:
        """Run the guide's blocks for a build machine, which is this one, in that checkout."""
        for step in steps("build"):
            subprocess.run(["bash", "-euc", step], cwd=self.machine.root / CHECKOUT, check=True)

    def starting(self, *command: str, spaces: Sequence[str] = ("--all",)) -> list[str]:
        """Return what starts a command there from here."""
        return ["nsenter", f"--target={self.machine._init}", *spaces, *ENVIRONMENT, *command]

    @contextmanager
    def issuer(self) -> Iterator[str]:
        """Run the demo's development issuer on the machine's loopback; give its URL."""
        there = ["nsenter", f"--target={self.machine._init}", "--net"]
        issuer = [sys.executable, "-m", "sessiond.demo.issuer", "--life", str(LIFE)]
        with Listening([*there, *issuer]) as running:
            yield str(running.hear("ready")["issuer"])

    def signs_in(self, url: str) -> str:
        """Sign alice in at the issuer; return what her program then sends as her password."""
        return self.machine.python(SIGN_IN.format(url=url))


class Listening:
    """A program that tells lines of JSON and takes commands of the same kind."""

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=WITHIN)  # the end of its input is its end

    def tell(self, **command: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()

    def hear(self, event: str) -> dict[str, Any]:
        """Wait for this event; the test's timeout ends this."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told: dict[str, Any] = json.loads(line)
            if told["event"] == event:
                return told
        raise AssertionError(f"it ended before it told: {event}")
