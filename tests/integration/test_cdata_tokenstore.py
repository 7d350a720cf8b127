"""The jar for CData's drivers with a real daemon: found by reflection, driven by its flow chart."""

import grp
import os
import pwd
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests import canary
from tests.integration.cdata_driver import PLUGIN, Classes, Driver, Store, surroundings
from tests.integration.cdata_issuer import CountingIssuer
from tests.integration.conftest import Start
from tests.integration.guide import blocks_of
from tests.integration.sourced import source, with_sources
from tests.issuer.running import RunningIssuer
from tests.running_daemon import RunningDaemon, configuration

BUILD = 600  # seconds; a first build fetches what pom.xml names
OTHERS = "dGhpcyBpcyBhIHRva2Vu" * 3_000  # 60,000 characters

pytestmark = pytest.mark.needs("maven")

Opened = Callable[..., Store]


@dataclass(frozen=True, slots=True)
class Silent:
    """An issuer that nobody signs in at."""

    issuer = "http://127.0.0.1:9"
    ca_file: Path | None = None


def with_stores() -> str:
    return configuration(Silent(), stores='users = ["root"]')


@pytest.fixture(scope="module")
def classes() -> Iterator[Classes]:
    with TemporaryDirectory(prefix="sd-") as name:
        yield Classes.compiled(Path(name))


@pytest.fixture
def daemon(start: Start) -> RunningDaemon:
    return start(with_stores())


@pytest.fixture
def opened(classes: Classes, daemon: RunningDaemon) -> Iterator[Opened]:
    with ExitStack() as stack:

        def open_one(*context: str) -> Store:
            return stack.enter_context(Store(classes, daemon, *context))

        yield open_one


def test_a_value_is_read_as_another_program_wrote_it_and_goes_when_it_is_emptied(
    opened: Opened,
) -> None:
    ours, theirs = opened(), opened()
    assert ours.do("read oauth") == "null"
    assert ours.do("acquire oauth 60000") == "done"
    for value in ("oauthaccesstoken=ä€🔑 x", OTHERS):
        assert ours.do(f"write oauth {value}") == "done"
        assert theirs.do("read oauth") == value
        assert theirs.do("read credentials") == "null"
    assert ours.do("write oauth ") == "done"
    assert ours.do("release oauth") == "done"
    assert theirs.do("read oauth") == "null"


def test_a_context_is_the_same_with_and_without_its_scheme_and_no_other(opened: Opened) -> None:
    marked, plain, other = opened("externalToken://a/b %é"), opened("a/b %é"), opened("a/b")
    marked.do("acquire oauth 60000")
    assert marked.do("write oauth x") == "done"
    assert plain.do("read oauth") == "x"
    assert other.do("read oauth") == "null"


def test_a_lock_goes_to_who_waits_for_it(opened: Opened) -> None:
    ours, theirs = opened(), opened()
    ours.do("acquire oauth 60000")
    theirs.ask("acquire oauth 60000")
    assert ours.do("write oauth ours") == "done"
    assert ours.do("release oauth") == "done"
    assert theirs.answer() == "done"
    assert theirs.do("read oauth") == "ours"
    assert theirs.do("write oauth theirs") == "done"


def test_what_was_written_by_who_took_the_lock_over_stays_and_the_slow_one_is_told(
    opened: Opened,
) -> None:
    slow, quick = opened(), opened()
    slow.do("acquire oauth 60000")
    assert quick.do("acquire oauth 1") == "done"
    assert quick.do("write oauth quick") == "done"
    assert quick.do("release oauth") == "done"
    refused = slow.do("write oauth slow")
    assert refused.startswith("LockLost: ")
    assert "taken over" in refused
    assert slow.do("read oauth") == "quick"
    assert slow.do("release oauth") == "done"
    assert slow.do("acquire oauth 60000") == "done"
    assert slow.do("write oauth slow") == "done"


def test_what_a_slow_one_has_is_kept_where_nobody_has_written_since(opened: Opened) -> None:
    slow, quick = opened(), opened()
    slow.do("acquire oauth 60000")
    quick.do("acquire oauth 1")  # and finds out that it cannot authenticate
    slow.ask("write oauth slow")
    assert quick.do("release oauth") == "done"
    assert slow.answer() == "done"
    assert slow.do("release oauth") == "done"
    assert quick.do("read oauth") == "slow"
    assert quick.do("acquire oauth 60000") == "done"  # it was released


def test_what_an_issuer_gave_is_kept_over_a_restart_of_the_daemon(
    opened: Opened, daemon: RunningDaemon
) -> None:
    ours = opened()
    ours.do("acquire oauth 60000")
    ours.do("write oauth first")
    daemon.kill()
    daemon.start()
    assert ours.do("read oauth") == "first"
    assert ours.do("write oauth second") == "done"
    daemon.stop()
    ours.ask("write oauth third")
    daemon.start()
    assert ours.answer() == "done"
    assert ours.do("release oauth") == "done"
    assert opened().do("read oauth") == "third"


def test_a_program_that_was_killed_holds_nobody_up_for_longer_than_they_wait(
    opened: Opened,
) -> None:
    dead, living = opened(), opened()
    dead.do("acquire oauth 60000")
    dead.process.kill()
    assert living.do("acquire oauth 300") == "done"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_who_is_not_let_in_is_told_by_whom(start: Start, classes: Classes) -> None:
    stranger = pwd.getpwnam("nobody")
    listen = f'control_group = "{grp.getgrgid(stranger.pw_gid).gr_name}"'
    daemon = start(configuration(Silent(), listen=listen, stores='users = ["root"]'))
    for folder in (daemon.folder, classes.plugin.parent):
        folder.chmod(0o755)
    with Store(classes, daemon, user=stranger.pw_name) as store:
        refused = store.do("read oauth")
        assert refused.startswith("TokenStoreException: readToken of token ")
        assert "403" in refused
        assert "[stores] users" in refused


def test_a_daemon_without_stores_is_said_to_have_none(start: Start, classes: Classes) -> None:
    daemon = start(configuration(Silent()))
    with Store(classes, daemon) as store:
        assert "configure [stores]" in store.do("acquire oauth 60000")


def test_a_data_source_is_a_context_that_is_always_good_and_nobody_writes(
    strict_issuer: RunningIssuer, start: Start, folder: Path, classes: Classes
) -> None:
    quotes = source(grant="client_credentials", readers=["root"], processes=None)
    daemon = start(with_sources(strict_issuer, folder, quotes))
    with Store(classes, daemon, "externalToken://source:quotes") as store:
        lines = store.do("read oauth").split("\\n")
        found = dict(line.split("=", 1) for line in lines if line)
        canary.remember(found["oauthaccesstoken"], "source token")
        assert int(found["oauthexpiresin"]) > 0
        assert int(found["oauthtokentimestamp"]) > 0
        assert store.do("read credentials") == "null"
        assert store.do("acquire oauth 60000").startswith("TokenStoreException: ")


def test_a_value_that_is_too_large_is_refused_and_not_repeated(opened: Opened) -> None:
    store = opened()
    store.do("acquire oauth 60000")
    refused = store.do(f"write oauth {OTHERS}{OTHERS}")
    assert "413" in refused
    assert "64 KiB" in refused
    assert OTHERS[:20] not in refused


def test_all_threads_of_all_programs_authenticate_once_for_each_token(
    classes: Classes, daemon: RunningDaemon
) -> None:
    with CountingIssuer(uses=80) as issuer:
        drivers = [Driver(classes, daemon, issuer.port, requests=50, max_wait=30_000)]
        drivers += [Driver(classes, daemon, issuer.port, requests=50, max_wait=30_000)]
        with drivers[0], drivers[1]:
            served = [each.served() for each in drivers]
        assert [each.failures for each in served] == [0, 0]
        assert issuer.accepted == 800
        assert len(issuer.issued) == issuer.needed == 10
        print(f"readToken, 16 threads at once: {[each.median for each in served]} µs (median)")


def test_one_thread_reads_as_fast_as_it_reads(classes: Classes, daemon: RunningDaemon) -> None:
    with (
        CountingIssuer(uses=2_000) as issuer,
        Driver(classes, daemon, issuer.port, threads=1, requests=2_000, max_wait=30_000) as driver,
    ):
        print(f"readToken, one thread: {driver.served().median} µs (median)")
        assert len(issuer.issued) == 1


@pytest.mark.needs("curl")
def test_what_the_guide_types_prints_what_it_says(daemon: RunningDaemon) -> None:
    run, prints = blocks_of(PLUGIN / "README.md")
    assert (run.do, prints.do) == ("run", "prints")
    typed = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", run.text],
        env=surroundings(daemon),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (typed.returncode, typed.stdout.strip(), typed.stderr) == (0, prints.text.strip(), "")


@pytest.mark.heavy
@pytest.mark.timeout(BUILD)
def test_maven_makes_the_same_jar_twice_and_it_passes_its_own_tests(tmp_path: Path) -> None:
    jars = []
    for folder, goals in (
        (tmp_path / "a", ["verify"]),
        (tmp_path / "b", ["-DskipTests", "package"]),
    ):
        shutil.copytree(PLUGIN, folder, ignore=shutil.ignore_patterns("target"))
        maven = subprocess.run(
            ["mvn", "--batch-mode", "--quiet", *goals],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert maven.returncode == 0, maven.stdout[-10_000:]
        jars.append((folder / "target/sessiond-cdata-tokenstore.jar").read_bytes())
    assert jars[0] == jars[1]
