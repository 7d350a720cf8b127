"""By the guide alone: a bare Debian, then a user who logs in, is listed, and is revoked."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deb.machine import Machine
from tests.install.guide import steps
from tests.install.newcomer import (
    DEVELOPMENT,
    ISSUER,
    Listening,
    Newcomer,
    bare_debian,
    pack_debian,
)

pytestmark = [
    pytest.mark.install,
    pytest.mark.needs("debian"),
    pytest.mark.timeout(900),
]

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
    with newcomer.issuer() as url:
        typed = [step.replace(ISSUER, DEVELOPMENT.format(url=url)) for step in steps(way)]
        assert any(url in step for step in typed)
        for step in typed:
            newcomer.does(step)
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
