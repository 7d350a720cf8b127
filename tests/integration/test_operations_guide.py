"""What the operations guide says is so: its configurations, its commands, its tables, its links."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from sessiond import config as configuration
from sessiond import install_units as units
from sessiond.cli import main as sessiond
from sessiond.config.credentials import new_key
from sessiond.core.secret import Secret
from sessiond.ctl import main as sessionctl
from sessiond.daemon.reload import NEEDS_RESTART
from sessiond.init.steps import on_the_machine
from sessiond.store.sqlite import VERSION as SCHEMA
from tests.install.guide import GUIDE, steps
from tests.integration.conftest import Connected, Start
from tests.integration.test_login import pair
from tests.issuer.running import ALICE, BOB, RunningIssuer
from tests.running_daemon import DaemonError, RunningDaemon
from tests.running_daemon import configuration as of_daemon
from tests.unit.init.answered import ANSWERS

TEXT = GUIDE.read_text(encoding="utf-8")
ISSUERS = GUIDE.parent / "issuers.md"
SOME_ISSUER = """
[[issuer]]
name = "corp"
issuer = "https://login.example.com/"
verify = "jwt"
audience = ["api://kdb"]
"""
CALL = re.compile(r"(?:runuser -u \w+ -- )?(sessiond|sessionctl) (.*)")
PROGRAMS = {"sessiond": sessiond, "sessionctl": sessionctl}


def blocks(*languages: str) -> list[str]:
    """Return the guide's code blocks in these languages."""
    found = re.findall(r"^ *```([a-z]+)\n(.*?)^ *```$", TEXT, re.DOTALL | re.MULTILINE)
    return [text for language, text in found if language in languages]


def commands() -> Iterator[tuple[str, list[str]]]:
    """Yield each call of our programs that the guide's shell blocks make, and its words."""
    for block in blocks("sh", "console"):
        for line in block.replace("\\\n", " ").splitlines():
            for part in re.split(r"[|;&<>{}]+", line.removeprefix("# ")):
                if found := CALL.fullmatch(part.strip()):
                    yield found[1], shlex.split(found[2], comments=True)


@pytest.mark.parametrize("block", blocks("toml"))
def test_each_configuration_is_a_good_one(block: str, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(block if "[[issuer]]" in block else SOME_ISSUER + block)
    assert configuration.load(file).issuers


def test_the_schema_that_it_names_is_this_versions() -> None:
    assert re.findall(r"(?:wanted|this version's is) (\d+)", TEXT) == [str(SCHEMA)] * 2


def test_each_call_of_our_programs_is_one_that_they_know() -> None:
    called = list(commands())
    assert {"init", "check-config", "keygen", "rekey", "install-units"} <= {
        words[0] for _, words in called
    }
    for program, words in called:
        group = PROGRAMS[program]
        context = click.Context(group, info_name=program)
        name, command, rest = group.resolve_command(context, words)
        assert command is not None
        command.make_context(str(name), list(rest), parent=context).close()


def test_both_ways_of_installing_end_with_a_check() -> None:
    for way in ("pip", "deb"):
        assert "sessionctl doctor" in "".join(steps(way))


@pytest.mark.parametrize(
    ("way", "commands", "is_proof_placed"),
    [
        ("pip", units.commands(Path("/")), False),  # the daemon's user is not there yet
        ("deb", ["systemctl start sessiond.service"], True),
    ],
)
def test_its_steps_after_init_are_those_that_init_leaves(
    way: str, commands: list[str], is_proof_placed: bool
) -> None:
    _, *left = on_the_machine(
        ANSWERS["corp"], commands, root=Path("/"), is_proof_placed=is_proof_placed
    )
    assert "".join(f"{line.strip()}\n" for line in left) in steps(way)


def test_it_names_each_key_that_needs_a_restart() -> None:
    (row,) = re.findall(r"^\| needs a restart \| (.*) \|$", TEXT, re.M)
    assert set(re.findall(r"`([a-z_.]+)`", row)) == {".".join(each) for each in NEEDS_RESTART}


@pytest.mark.parametrize("page", [GUIDE, ISSUERS], ids=["operations", "issuers"])
def test_what_it_links_to_is_there(page: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text(encoding="utf-8")):
        name, _, anchor = link.partition("#")
        linked = page.parent / name if name else page
        assert linked.exists(), link
        assert not anchor or anchor in anchors(linked), link


def anchors(page: Path) -> set[str]:
    """Return what a page's headings are linked by."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}


def test_the_log_lines_and_alerts_that_it_names_are_documented() -> None:
    signals = (GUIDE.parent / "signals.md").read_text(encoding="utf-8")
    runbooks = TEXT.partition("## Runbooks")[2]
    lines = re.findall(r"\*[^*]*\b[Ll]og `([^`]+)`(?:, `([^`]+)`)?", runbooks)
    alerts = re.findall(r"Sessiond[A-Z]\w+", runbooks)
    named = {each for pair_ in lines for each in pair_ if each} | set(alerts)
    assert len(named) > 5
    assert [each for each in named if each not in signals] == []


def vacuumed(database: Path, copy: Path) -> None:
    """Make a backup with the guide's own statement."""
    (statement,) = re.findall(r'"(VACUUM INTO \'.*\')"', TEXT)
    program = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute(sys.argv[2])"
    statement = re.sub(r"'.*'", f"'{copy}'", statement)
    subprocess.run(["python3", "-c", program, database, statement], check=True)
    copy.chmod(0o600)


def restored(daemon: RunningDaemon, copy: Path) -> None:
    """Put a backup in the place of the database, as the guide says, and start."""
    for each in ("-wal", "-shm"):
        daemon.database.with_name(daemon.database.name + each).unlink(missing_ok=True)
    daemon.database.write_bytes(copy.read_bytes())
    daemon.start()


def test_a_backup_that_was_made_while_it_ran_brings_the_sessions_back(
    strict_issuer: RunningIssuer, start: Start, process: Connected, folder: Path
) -> None:
    daemon = start(of_daemon(strict_issuer))
    q = process(daemon)
    kept = q.log_in(ALICE, pair(strict_issuer.tokens()))["session"]
    vacuumed(daemon.database, folder / "copy.db")
    left = q.log_in(BOB, pair(strict_issuer.tokens(BOB)), 6)["session"]
    daemon.stop()
    restored(daemon, folder / "copy.db")
    q = process(daemon)
    assert q.reconcile({5: kept, 6: left}) == [6]  # whoever came later logs in again
    assert [each["session"] for each in q.sessions()] == [kept]
    daemon.stop()


def test_a_backup_is_of_no_use_without_the_key_of_its_time(
    strict_issuer: RunningIssuer, start: Start, folder: Path
) -> None:
    daemon = start(of_daemon(strict_issuer))
    vacuumed(daemon.database, folder / "copy.db")
    daemon.stop()
    key: Secret = new_key()
    (folder / "sessiond.db.key").write_text(f"2:{key.reveal()}\n")
    with pytest.raises(DaemonError, match="sealed with another key"):
        restored(daemon, folder / "copy.db")
