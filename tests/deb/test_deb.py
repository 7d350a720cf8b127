"""From `dpkg -i` to `dpkg -P`: what an administrator of a Debian sees."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.deb.machine import Machine, install_debian

pytestmark = [pytest.mark.needs("debian"), pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
SOCKETS = ("sessiond-abstract.socket", "sessiond-path.socket", "sessiond-control.socket")
NEWER = "9.0"
CONFIG = """
[listen]
allow_users = ["nobody"]
[[issuer]]
name = "corp"
issuer = "https://login.example.com/"
verify = "jwt"
audience = ["api://kdb"]
"""
# Connects to the daemon and prints what the handshake is answered with.
KNOCK = """
import os, socket
os.setgroups([]); os.setgid({uid}); os.setuid({uid})
with socket.socket(socket.AF_UNIX) as q:
    q.settimeout(20)
    q.connect({address!r})
    try:
        q.sendall(b"gw1:" + bytes([3, 0]))
        print(q.recv(1).hex() or "closed")
    except ConnectionError:
        print("closed")
"""
ABSTRACT, PATH = "\0/tmp/kx.5099", "/tmp/kx.5099"
PADDED = ABSTRACT.ljust(108, "\0")


class Packages(NamedTuple):
    """The package, and one that is the same but for a higher version."""

    built: Path
    newer: Path


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    folder = tmp_path_factory.mktemp("deb")
    subprocess.run([ROOT / "debian/build-deb", folder / "out"], check=True, capture_output=True)
    (built,) = (folder / "out").glob("*.deb")
    tree, newer = folder / "tree", folder / "newer.deb"
    subprocess.run(["dpkg-deb", "-R", built, tree], check=True)
    control = tree / "DEBIAN/control"
    lines = control.read_text().splitlines()
    changed = [f"Version: {NEWER}" if each.startswith("Version:") else each for each in lines]
    control.write_text("\n".join([*changed, ""]))
    subprocess.run(["dpkg-deb", "--root-owner-group", "-z0", "-b", tree, newer], check=True)
    return Packages(built, newer)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    root = tmp_path_factory.mktemp("debian")
    install_debian(root)
    with Machine(root) as booted:
        yield booted


@pytest.fixture
def installed(machine: Machine, packages: Packages) -> Iterator[Machine]:
    """The machine with the package, not configured; afterwards without."""
    machine.run("dpkg", "-i", machine.take(packages.built))
    yield machine
    machine.run("dpkg", "-P", "sessiond", check=False)


@pytest.fixture
def running(installed: Machine) -> Machine:
    """The same with a daemon at work."""
    installed.put("/etc/sessiond/config.toml", CONFIG)
    installed.run("chown", "sessiond", "/etc/sessiond/config.toml")
    installed.run("systemctl", "start", "sessiond")
    return installed


def knock(machine: Machine, address: str = ABSTRACT, *, uid: int = 0) -> str:
    return machine.python(KNOCK.format(uid=uid, address=address))


def sockets(machine: Machine) -> str:
    """Return what tells whether a path is still the same socket."""
    return machine.run("stat", "--format=%i %a %U:%G", PATH, "/run/sessiond/control.sock")


def await_another(machine: Machine, pid: str) -> None:
    """Return when systemd runs another daemon; the test's timeout ends this."""
    while (
        machine.shown("sessiond", "ActiveState") != "active"
        or machine.shown("sessiond", "MainPID") == pid
    ):
        pass


def test_lintian_finds_no_error(packages: Packages) -> None:
    run = subprocess.run(
        ["lintian", "--allow-root", "--fail-on", "error", packages.built],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "unused-override" not in run.stdout


def test_until_there_is_a_configuration_nothing_listens(installed: Machine) -> None:
    states = [installed.shown(unit, "ActiveState") for unit in (*SOCKETS, "sessiond.service")]
    assert states == ["inactive"] * 4
    assert installed.run("systemctl", "is-enabled", *SOCKETS, "sessiond.service") == "\n".join(
        ["enabled"] * 4
    )
    for name in ("sessiond", "sessionctl", "sessiond-login"):
        assert "Usage: " in installed.run(name, "--help")
    example = "/usr/share/doc/sessiond/examples/config.example.toml"
    assert installed.run("sessiond", "check-config", "--config", example).endswith("ok")
    assert "+++ /etc/systemd/system/sessiond.service" in installed.run("sessiond", "install-units")


def test_it_brings_all_that_is_shared_where_install_units_would(installed: Machine) -> None:
    shown = installed.run("sessiond", "install-units")
    assert "# /usr/share/sessiond: as it should be" in shown
    assert "/usr/local/share/man" not in shown  # its own manual pages are found


def test_the_daemon_works_within_all_that_its_unit_forbids(installed: Machine) -> None:
    installed.put("/root/key", installed.run("sessiond", "keygen") + "\n")
    credential = "/etc/credstore.encrypted/sessiond.proof"
    installed.run("mkdir", "-p", "/etc/credstore.encrypted")
    installed.run(
        "systemd-creds", "encrypt", "--with-key=host", "--name=proof", "/root/key", credential
    )
    installed.put("/etc/sessiond/config.toml", CONFIG)
    installed.run("chown", "sessiond", "/etc/sessiond/config.toml")
    installed.run("systemctl", "start", "sessiond")
    assert installed.shown("sessiond", "StatusText") == "serving"
    assert "ready since" in installed.run("sessionctl", "status")
    assert "no proof key" not in installed.run("journalctl", "--unit=sessiond", "--boot")
    assert installed.run("stat", "--format=%U %a", "/var/lib/sessiond") == "sessiond 700"
    fed = installed.shown("sessiond", "WatchdogTimestampMonotonic")
    while installed.shown("sessiond", "WatchdogTimestampMonotonic") == fed:
        pass  # the test's timeout ends this
    assert installed.shown("sessiond", "NRestarts") == "0"
    installed.run("rm", credential)


def test_each_address_answers_who_may_connect_and_nobody_else(running: Machine) -> None:
    for address in (ABSTRACT, PADDED, PATH):
        assert [knock(running, address, uid=uid) for uid in (0, 65534, 1)] == ["03", "03", "closed"]


def test_a_daemon_that_hangs_is_replaced_and_its_sockets_stay(running: Machine) -> None:
    before, pid = sockets(running), running.shown("sessiond", "MainPID")
    running.run("kill", "-STOP", pid)
    await_another(running, pid)
    assert sockets(running) == before
    assert knock(running) == "03"


def test_a_wrong_configuration_is_not_tried_again_and_lets_q_go(running: Machine) -> None:
    running.put("/etc/sessiond/config.toml", "nonsense")
    running.run("chown", "sessiond", "/etc/sessiond/config.toml")
    running.run("systemctl", "restart", "sessiond", check=False)
    assert running.shown("sessiond", "ActiveState") == "failed"
    assert running.shown("sessiond", "ExecMainStatus") == "78"
    assert knock(running) == "closed"
    assert [running.shown(each, "ActiveState") for each in SOCKETS] == ["active"] * 3
    running.put("/etc/sessiond/config.toml", CONFIG)
    running.run("chown", "sessiond", "/etc/sessiond/config.toml")
    assert knock(running) == "03"  # the connection has started it


def test_an_upgrade_keeps_what_there_is_and_lets_nobody_in_between(
    running: Machine, packages: Packages
) -> None:
    key = running.run("sha256sum", "/var/lib/sessiond/sessiond.db.key")
    before, pid = sockets(running), running.shown("sessiond", "MainPID")
    listening = [running.shown(each, "ActiveEnterTimestampMonotonic") for each in SOCKETS]
    running.run("dpkg", "-i", running.take(packages.newer))
    assert running.run("dpkg-query", "--show", "--showformat=${Version}", "sessiond") == NEWER
    assert running.shown("sessiond", "MainPID") not in (pid, "0")
    assert sockets(running) == before
    assert [running.shown(each, "ActiveEnterTimestampMonotonic") for each in SOCKETS] == listening
    assert running.run("sha256sum", "/var/lib/sessiond/sessiond.db.key") == key
    assert (running.root / "etc/sessiond/config.toml").read_text() == CONFIG
    assert knock(running) == "03"


def test_removal_keeps_what_is_the_administrators_and_a_purge_does_not(running: Machine) -> None:
    kept = ("etc/sessiond/config.toml", "var/lib/sessiond/sessiond.db", "var/log/sessiond")
    running.run("dpkg", "-r", "sessiond")
    assert running.run("pgrep", "--list-full", "sessiond", check=False) == ""
    assert not (running.root / "tmp/kx.5099").exists()
    assert all((running.root / each).exists() for each in kept)
    running.run("dpkg", "-P", "sessiond")
    gone = ("etc/sessiond", "var/lib/sessiond", "var/log/sessiond", "usr/lib/sessiond")
    assert [each for each in gone if (running.root / each).exists()] == []
    assert (
        running.run("systemctl", "list-unit-files", "--no-legend", "sessiond*", check=False) == ""
    )
