"""docs/tokens.md, its configurations, commands and programs run, and its tables compared."""

import json
import os
import re
import shlex
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from http import HTTPStatus
from pathlib import Path
from uuid import UUID

import click
import pytest

from sessiond import config as configuration
from sessiond.control import storing
from sessiond.ctl import main as sessionctl
from sessiond.sources.answer import Reason
from sessiond.testing import FakeProcess
from sessiond.testing.answer import Answer, Asked
from sessiond.testing.loopback import Loopback
from sessiond.tickets.exchange_request import ExchangeError
from sessiond.tickets.issuing import TicketRefusal
from tests import canary
from tests.integration.conftest import Start
from tests.integration.test_operations_guide import anchors
from tests.issuer.running import ALICE, SERVICE, RunningIssuer
from tests.peers import PeerFarm
from tests.running_daemon import RunningDaemon
from tests.running_daemon import configuration as of_daemon

PAGE = Path(__file__).parents[2] / "docs/tokens.md"
TEXT = PAGE.read_text(encoding="utf-8")
MARKED = re.findall(r"^<!-- ([a-z]+): (\w+) -->\n```\w+\n(.*?)^```$", TEXT, re.M | re.S)
BLOCKS = {(kind, name): block for kind, name, block in MARKED}
UNMARKED = re.findall(r"(?<!-->\n)^```sh\n(.*?)^```$", TEXT, re.M | re.S)  # held to the program
TABLES = [name for kind, name in BLOCKS if kind == "configuration"]
ISSUER = """
[[issuer]]
name = "corp"
issuer = "https://login.corp.example/"
verify = "jwt"
audience = ["api://kdb"]
"""
CONTROL = "/run/sessiond/control.sock"
BIN = Path(sys.executable).parent
JWT = 'verify = "jwt"\naudience = ["api://kdb"]\n'
EXCHANGED = "urn:ietf:params:oauth:token-type:jwt"


def test_all_of_its_blocks_are_run_here() -> None:
    assert len(BLOCKS) == len(MARKED)
    assert {name for kind, name in BLOCKS if kind == "run"} == {
        *("check", "revoke", "exchange", "token", "read", "store")
    }
    assert ("program", "checks") in BLOCKS
    assert TEXT.count("```toml") == len(TABLES)
    assert [block for block in UNMARKED if not block.startswith("sessionctl ")] == []


@pytest.mark.parametrize("name", TABLES)
def test_each_configuration_is_a_good_one(name: str, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(ISSUER + BLOCKS["configuration", name])
    assert configuration.load(file).issuers


@pytest.mark.parametrize("name", TABLES)
def test_a_daemon_starts_with_each_of_them(
    name: str, strict_issuer: RunningIssuer, folder: Path, start: Start
) -> None:
    start(configured(strict_issuer, folder, name))


def test_each_call_of_sessionctl_is_one_that_it_knows() -> None:
    called = re.findall(r"^sessionctl (.*)$", TEXT, re.M)
    assert called
    for words in map(shlex.split, called):
        context = click.Context(sessionctl, info_name="sessionctl")
        name, command, rest = sessionctl.resolve_command(context, words)
        assert command is not None
        command.make_context(str(name), list(rest), parent=context).close()


def test_what_it_links_to_is_there() -> None:
    links = re.findall(r"\]\((?!https?:)([^)]+)\)", TEXT)
    assert len(links) > 10
    for link in links:
        name, _, anchor = link.partition("#")
        linked = PAGE.parent / name if name else PAGE
        assert linked.exists(), link
        assert not anchor or anchor in anchors(linked), link


def test_every_reason_and_status_is_explained() -> None:
    told = {
        "**`ticket`** is refused": TicketRefusal,
        "**`POST /v1/token`**": ExchangeError,
        "**`token`** and **`/v1/sources`**": Reason,
    }
    for heading, reasons in told.items():
        section = TEXT.partition(heading)[2].partition("\n**")[0]
        explained = re.findall(r"^\| `(\w+)` \|", section, re.M)
        assert [each for each in explained if each != "error"] == list(reasons), heading
    stores = TEXT.partition("**`/v1/stores`**")[2].partition("\n## ")[0]
    shown = {int(status) for status in re.findall(r"^\| (\d+) \|", stores, re.M)}
    answered = re.findall(r"HTTPStatus\.([A-Z_]+)", Path(storing.__file__).read_text())
    assert shown >= {HTTPStatus[name].value for name in answered}


def test_a_configuration_is_checked_and_loaded_as_it_says(
    strict_issuer: RunningIssuer, folder: Path, start: Start
) -> None:
    daemon = start(configured(strict_issuer, folder, "tickets"))
    (folder / "bin").mkdir()
    systemctl = folder / "bin/systemctl"
    systemctl.write_text(f'#!/bin/sh\n[ "$*" = "reload sessiond" ] && kill -HUP {daemon.pid}\n')
    systemctl.chmod(0o700)
    ran = run(folder, "check")
    assert ran.returncode == 0, ran.stderr
    daemon.logged(1, event="configuration applied")


def test_a_revocation_ends_who_came_by_a_ticket_too(
    strict_issuer: RunningIssuer, folder: Path, start: Start
) -> None:
    daemon = start(configured(strict_issuer, folder, "tickets"))
    with processes(daemon, "gateway1", "rdb1") as (gateway, rdb):
        session = logged_in(gateway, strict_issuer)
        answer = gateway.ticket(session, "rdb1")
        assert answer["ok"]
        rdb.log_in(ALICE, answer["ticket"], 7)
        ran = run(folder, "revoke", **{"alice@corp.example": ALICE})
        assert ran.returncode == 0, ran.stderr
        assert gateway.next_push()["event"] == rdb.next_push()["event"] == "revoked"


def test_a_program_checks_a_ticket_with_a_stock_library(
    strict_issuer: RunningIssuer, folder: Path, start: Start
) -> None:
    daemon = start(configured(strict_issuer, folder, "tickets"))
    with processes(daemon, "gateway1") as (gateway,):
        session = logged_in(gateway, strict_issuer)
        ticket = gateway.ticket(session, "rdb1")["ticket"]
    program = adapted(BLOCKS["program", "checks"], folder)
    ran = subprocess.run(
        [sys.executable, "-c", program], input=ticket, capture_output=True, text=True
    )
    assert (ran.returncode, ran.stdout) == (0, f"{ALICE} of session {session}\n"), ran.stderr


def test_after_the_keys_were_taken_out_another_signs_and_sessions_stay(
    strict_issuer: RunningIssuer, folder: Path, start: Start
) -> None:
    daemon = start(configured(strict_issuer, folder, "tickets"))
    (statement,) = re.findall(r'sqlite3 \S+ "(.*)"$', BLOCKS["sql", "keys"], re.M)
    with processes(daemon, "gateway1", "rdb1") as (gateway, rdb):
        session = logged_in(gateway, strict_issuer)
        rdb.log_in(ALICE, gateway.ticket(session, "rdb1")["ticket"], 7)
        under_way = gateway.ticket(session, "rdb1")["ticket"]
        assert daemon.stop() == 0
        with closing(sqlite3.connect(daemon.database)) as database, database:
            database.execute(statement)
        daemon.start()
        daemon.logged(2, event="ticket key made")
    with (
        processes(daemon, "rdb1") as (rdb,),
        pytest.raises(PermissionError, match="badsignature"),
    ):
        rdb.log_in(ALICE, under_way, 8)
    with closing(sqlite3.connect(daemon.database)) as database:
        assert database.execute("SELECT count(*) FROM sessions").fetchall() == [(2,)]


@pytest.mark.needs("curl")
def test_a_token_is_exchanged_for_a_ticket_that_lets_in(
    strict_issuer: RunningIssuer, folder: Path, start: Start
) -> None:
    daemon = start(configured(strict_issuer, folder, "exchange"))
    (folder / "token").write_text(strict_issuer.tokens()["access_token"])
    ran = run(folder, "exchange")
    assert ran.returncode == 0, ran.stderr
    answer = json.loads(ran.stdout)
    assert (answer["token_type"], answer["issued_token_type"]) == ("N_A", EXCHANGED)
    with processes(daemon, "rdb1") as (rdb,):
        assert rdb.log_in(ALICE, f"ticket:{answer['access_token']}", 7)["user"] == ALICE


@pytest.mark.needs("curl")
def test_a_program_reads_a_source_with_the_token_that_it_is_given(
    strict_issuer: RunningIssuer, folder: Path, start: Start
) -> None:
    start(configured(strict_issuer, folder, "source"))
    ran = run(folder, "token")
    assert ran.returncode == 0, ran.stderr
    answer = json.loads(ran.stdout)
    assert set(answer) == {"token", "type", "expires"}
    canary.remember(answer["token"], "access_token")
    seen: list[Asked] = []

    def shown(asked: Asked, _: object) -> Answer:
        seen.append(asked)
        return Answer(200, {"quotes": []})

    with Loopback(shown) as source:
        ran = run(folder, "read", **{"https://quotes.corp.example": source.url})
    assert (ran.returncode, json.loads(ran.stdout)) == (0, {"quotes": []}), ran.stderr
    assert [each.path for each in seen] == ["/v1/quotes"]
    assert seen[0].headers["authorization"] == f"Bearer {answer['token']}"


def test_a_feed_is_given_the_token_of_its_source(
    strict_issuer: RunningIssuer, folder: Path, start: Start
) -> None:
    daemon = start(configured(strict_issuer, folder, "source"))
    with processes(daemon, "feed1", "other1") as (feed, other):
        assert feed.token("quotes")["ok"]
        assert other.token("quotes")["reason"] == "notallowed"


@pytest.mark.needs("curl")
def test_of_two_programs_that_share_a_store_one_signs_in(
    strict_issuer: RunningIssuer, folder: Path, start: Start
) -> None:
    start(configured(strict_issuer, folder, "stores"))
    sign_in = folder / "sign-in"
    sign_in.write_text("#!/bin/sh\necho once >> signed-in\nsleep 0.2\nprintf 'the token'\n")
    sign_in.chmod(0o700)
    with ThreadPoolExecutor(2) as threads:
        ran = list(threads.map(lambda _: run(folder, "store", then='printf %s "$token"'), range(2)))
    assert [(each.returncode, each.stdout) for each in ran] == [(0, "the token")] * 2, ran
    assert (folder / "signed-in").read_text() == "once\n"
    again = run(folder, "store", then='printf %s "$token"')
    assert (again.stdout, (folder / "signed-in").read_text()) == ("the token", "once\n")


def configured(issuer: RunningIssuer, folder: Path, name: str) -> str:
    """Return a configuration with the page's own tables, for the accounts and clients of here."""
    for client in ("feeds", "positions"):
        secret = folder / f"{client}.secret"
        secret.touch(mode=0o600)
        secret.write_text(SERVICE[1])
    me = str(os.getuid())
    text = BLOCKS["configuration", name]
    for of_page, of_here in {
        '"kdb"': me,
        '"@feeds"': me,
        '"webapp"': me,
        '"kdb-feeds"': f'"{SERVICE[0]}"',
        '"kdb-positions"': f'"{SERVICE[0]}"',
        '"quotes.read"': '"session.login"',
        "/etc/sessiond/": "{folder}/",
    }.items():
        text = text.replace(of_page, of_here)
    return of_daemon(issuer, extra=JWT + text)


def run(
    folder: Path, name: str, then: str = "", **instead: str
) -> "subprocess.CompletedProcess[str]":
    """Run a block of the page as a script, where the daemon is that of a folder."""
    script = adapted(BLOCKS["run", name], folder)
    for of_page, of_here in instead.items():
        script = script.replace(of_page, of_here)
    return subprocess.run(
        ["sh", "-c", "\n".join(["set -u", script, then])],
        cwd=folder,
        env={"PATH": f"{folder}/bin:{BIN}:/usr/bin:/bin", "SESSIOND_CONTROL": f"{folder}/c"},
        capture_output=True,
        text=True,
        check=False,
    )


def adapted(text: str, folder: Path) -> str:
    """Return the page's text for the sockets and files of a folder."""
    return text.replace(CONTROL, f"{folder}/c").replace(
        "/etc/sessiond/config.toml", f"{folder}/config.toml"
    )


@contextmanager
def processes(daemon: RunningDaemon, *names: str) -> Iterator[tuple[FakeProcess, ...]]:
    """Connect q processes of these names."""
    with ExitStack() as stack:
        farm = stack.enter_context(PeerFarm(daemon.address, len(names)))
        found = [FakeProcess(end, name=name) for end, name in zip(farm.sockets, names, strict=True)]
        for process in found:
            process.hello()
        yield tuple(found)


def logged_in(process: FakeProcess, issuer: RunningIssuer) -> UUID:
    """Log alice in; return her session."""
    session: UUID = process.log_in(ALICE, issuer.tokens()["access_token"], 6)["session"]
    return session
