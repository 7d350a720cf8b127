"""By the guide alone: a bare Debian, then a user who logs in, is listed, and is revoked."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deb.machine import Machine
from tests.install.guide import configuration, steps
from tests.install.newcomer import ISSUER, Listening, Newcomer, bare_debian, pack_debian

pytestmark = [
    pytest.mark.install,
    pytest.mark.needs("debian"),
    pytest.mark.timeout(900),
]

CONFIG = "/etc/sessiond/config.toml"
# How a q process is started there: as its own user.
AS_Q = ("runuser", "-u", "kdb", "--")
PROGRAM = {"pip": "/opt/sessiond/bin/python", "deb": "/usr/lib/sessiond/bin/python3"}


@pytest.fixture(scope="module")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bare Debian, packed; kept for the next run where $SESSIOND_TEST_DEBIAN says."""
    kept = os.environ.get("SESSIOND_TEST_DEBIAN")
    path = Path(kept) if kept else tmp_path_factory.mktemp("debian") / "debian.tar"
    if not path.exists():
        pack_debian(path)
    return path


@pytest.fixture
def newcomer(tmp_path: Path, tarball: Path) -> Iterator[Newcomer]:
    root = tmp_path / "root"
    root.mkdir()
    bare_debian(root, tarball)
    with Machine(root) as machine:
        machine.run("useradd", "--create-home", "kdb")  # whoever has q has its user
        someone = Newcomer(machine)
        yield someone
        print("\n".join(someone.transcript))  # pytest shows it where the test fails


@pytest.mark.parametrize("way", ["pip", "deb"])
def test_by_the_guide_alone_alice_logs_in_and_is_revoked(newcomer: Newcomer, way: str) -> None:
    if way == "deb":
        newcomer.builds()
    configured = False
    with newcomer.issuer() as url:
        for step in steps(way):
            if "check-config" in step:  # the guide has the file written before it has it checked
                newcomer.writes(CONFIG, configuration() + ISSUER.format(url=url))
                configured = True
            newcomer.does(step)
        assert configured
        lives_and_is_revoked(newcomer, PROGRAM[way], newcomer.signs_in(url))


def lives_and_is_revoked(newcomer: Newcomer, python: str, password: str) -> None:
    gateway = [
        *newcomer.starting(*AS_Q, python, "-m", "sessiond.demo.process", "--name", "gateway1"),
        *("--address", "/tmp/kx.5099", "--key-file", "/etc/sessiond/proof"),
    ]
    with Listening(gateway) as q:
        q.hear("connected")
        q.tell(do="login", user="alice", password=password)
        assert q.hear("accepted")["roles"] == ["reader"]
        listed = newcomer.does("sessionctl list")
        assert "alice" in listed
        assert "gateway1" in listed
        newcomer.does("sessionctl revoke --user alice --reason 'left us' --yes")
        closed = q.hear("closed")
        assert (closed["user"], closed["reason"]) == ("alice", "operator")
        assert "alice" not in newcomer.does("sessionctl list")
