"""What is left is said word for word, and fits a terminal of 80 columns."""

from dataclasses import replace
from pathlib import Path

import pytest

from sessiond.init.steps import at_the_issuer, in_q, on_the_machine
from sessiond.init.written import WIDTH
from tests.unit.init.answered import ANSWERS

ROOT = Path("/")
UNITS = ["systemd-sysusers sessiond.conf", "systemctl daemon-reload", "systemctl start sessiond"]


def commands(name: str, *, root: Path = ROOT, is_proof_placed: bool = True) -> list[str]:
    _, *lines = on_the_machine(ANSWERS[name], UNITS, root=root, is_proof_placed=is_proof_placed)
    return [line.strip() for line in lines]


@pytest.mark.parametrize("name", ANSWERS)
def test_all_of_it_fits_80_columns(name: str) -> None:
    answers = ANSWERS[name]
    lines = [
        *at_the_issuer(answers),
        *on_the_machine(answers, UNITS, root=ROOT, is_proof_placed=False),
        *in_q(answers),
    ]
    assert [line for line in lines if len(line) > WIDTH] == []


def test_the_user_is_made_first_and_the_daemon_is_looked_at_last() -> None:
    assert commands("corp") == [*UNITS, "sessionctl doctor"]
    assert commands("corp", is_proof_placed=False)[1:3] == [
        "chown sessiond:kdb /etc/sessiond/proof",
        "chmod 0640 /etc/sessiond/proof",
    ]


def test_an_image_is_changed_by_its_own_names() -> None:
    there = commands("corp", root=Path("/image"), is_proof_placed=False)
    assert "chroot /image chown sessiond:kdb /etc/sessiond/proof" in there
    assert "sessionctl doctor" not in there


def test_introspection_needs_a_secret_before_the_start_and_its_client_at_the_issuer() -> None:
    typed = commands("corp-asked")
    secret = "install -m 0600 -o sessiond -g sessiond /dev/stdin /etc/sessiond/corp.secret"
    assert typed.index(secret) < typed.index("systemctl start sessiond")
    assert any("may introspect" in line for line in at_the_issuer(ANSWERS["corp-asked"]))
    keycloak = replace(ANSWERS["keycloak"], verify="introspection")
    assert "Included Client Audience sessiond" in " ".join(
        " ".join(at_the_issuer(keycloak)).split()
    )


def test_roles_are_made_only_where_they_are_wanted() -> None:
    assert any("kdb.read" in line for line in at_the_issuer(ANSWERS["entra"]))
    assert not any(
        "App roles" in line for line in at_the_issuer(replace(ANSWERS["entra"], roles={}))
    )


def test_q_gets_the_key_and_the_hook_from_where_they_are() -> None:
    lines = list(in_q(ANSWERS["corp"]))
    assert "  .sessiond.proofkey:`:/etc/sessiond/proof" in lines
    assert "  \\l /usr/share/sessiond/torq/sessiond.q" in lines
    assert "No --program" not in "\n".join(lines)
    assert "No --program" in "\n".join(in_q(ANSWERS["corp-asked"]))


def test_people_get_a_profile_once_their_program_is_known() -> None:
    command = "  sessionctl client-profile -o login.toml"
    assert list(in_q(ANSWERS["corp"]))[-1] == command
    assert command not in list(in_q(ANSWERS["corp-asked"]))
