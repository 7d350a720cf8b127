"""Subscribers of a real daemon, each in its real process."""

import json
import os
import select
import signal
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from sessiond.qipc import call, int_
from sessiond.testing import FakeProcess
from tests.integration.conftest import Start
from tests.integration.operating import Operator
from tests.issuer.running import ALICE, RunningIssuer
from tests.running_daemon import DaemonError, RunningDaemon, configuration
from tests.subscribed import Listening, in_order, python_path

pytestmark = pytest.mark.chaos


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", python_path())


@pytest.fixture
def good(folder: Path) -> Iterator[Listening]:
    with Listening(folder / "good") as listening:
        yield listening


@pytest.fixture
def other(folder: Path) -> Iterator[Listening]:
    with Listening(folder / "other") as listening:
        yield listening


def log_in(daemon: RunningDaemon, issuer: RunningIssuer, count: int, *, first: int = 1) -> None:
    """Open so many sessions, then close them: two events for each, on disk when this returns."""
    token = issuer.tokens()["access_token"]
    with FakeProcess(daemon.address) as q:
        q.hello()
        for handle in range(first, first + count):
            q.log_in(ALICE, token, handle)
        for handle in range(first, first + count):
            q.tell(call("disconnect", int_(handle)))
        assert q.sessions() == []


def subscriber(daemon: RunningDaemon, name: str) -> dict[str, Any]:
    """Return how a subscriber stands, as operators see it."""
    with Operator(daemon) as operator:
        found = {each["name"]: each for each in operator.get("/v1/status")["subscribers"]}
    status: dict[str, Any] = found[name]
    return status


def test_every_event_arrives_once_in_order_and_goes_on_after_a_restart(
    strict_issuer: RunningIssuer, start: Start, good: Listening
) -> None:
    daemon = start(configuration(strict_issuer) + good.table("teller"))
    good.wait("state", 1)
    log_in(daemon, strict_issuer, 3)
    assert good.wait("sequence", 6) == [1, 2, 3, 4, 5, 6]
    assert good.all("kind") == ["session.opened"] * 3 + ["session.closed"] * 3
    assert daemon.stop() == 0
    assert good.wait("state", 2) == ["started", "stopped"]
    daemon.start()
    good.wait("state", 3)
    log_in(daemon, strict_issuer, 2, first=10)
    with Operator(daemon) as operator:
        last = operator.get("/v1/status")["last_sequence"]
    assert good.wait_for("sequence", last) == list(range(1, last + 1))
    standing = subscriber(daemon, "teller")
    assert (standing["state"], standing["lag"], standing["place"]) == ("running", 0, last)
    assert (standing["restarts"], standing["set_aside"], standing["last_error"]) == (0, 0, "")


def test_many_at_a_time_arrive_in_order_where_the_plugin_takes_batches(
    strict_issuer: RunningIssuer, start: Start, good: Listening
) -> None:
    daemon = start(configuration(strict_issuer) + good.table("batches"))
    good.wait("state", 1)
    log_in(daemon, strict_issuer, 40)
    with Operator(daemon) as operator:
        last = operator.get("/v1/status")["last_sequence"]
    while sum(map(len, good.all("batch"))) < last:
        good.wait("batch", len(good.all("batch")) + 1)
    assert [each for batch in good.all("batch") for each in batch] == list(range(1, last + 1))


NAUGHTY = {
    "raises": "ValueError: not today (",
    "blocks": "it took longer than 1 s over event 1",
    "leaks": "MemoryError",
    "crashes": "it ended with exit code 3",
    "babbles": "it talks nonsense: no message: ",
    "lies": "it talks nonsense",
    "boasts": "it talks nonsense: a frame of 2147483647 bytes",
}


@pytest.mark.parametrize("how", NAUGHTY)
def test_whatever_one_does_the_others_hear_everything_and_logins_go_on(
    strict_issuer: RunningIssuer, start: Start, good: Listening, other: Listening, how: str
) -> None:
    until = other.path.with_name("behave")
    deadline = 1.0 if "took longer" in NAUGHTY[how] else 30.0  # memory too takes its time to fill
    naughty = other.table("naughty", how=how, until=str(until), deadline=deadline)
    daemon = start(
        configuration(strict_issuer, events="max_attempts = 2")
        + f"{naughty}\n{good.table('teller')}"
    )
    good.wait("state", 1)
    other.wait("state", 1)
    log_in(daemon, strict_issuer, 3)
    assert good.wait("sequence", 3)[:3] == [1, 2, 3]
    assert other.wait("tried", 3)[:3] == [1, 1, 2]  # twice, then set aside
    log_in(daemon, strict_issuer, 2, first=20)
    (aside,) = daemon.logged(1, event="event set aside", sequence=1)
    assert aside["error"].startswith(NAUGHTY[how])
    assert (aside["subscriber"], aside["attempts"]) == ("naughty", 2)
    until.touch()  # what is still to come is received
    with Operator(daemon) as operator:
        last = operator.get("/v1/status")["last_sequence"]
    other.wait_for("sequence", last)
    assert good.wait_for("sequence", last) == list(range(1, last + 1))
    assert subscriber(daemon, "teller")["restarts"] == 0


def test_one_that_waits_for_ever_is_killed_at_its_deadline(
    strict_issuer: RunningIssuer, start: Start, good: Listening, other: Listening
) -> None:
    deaf = other.table("deaf", deadline=0.5)
    daemon = start(configuration(strict_issuer) + f"{deaf}\n{good.table('teller')}")
    other.wait("state", 1)
    good.wait("state", 1)
    log_in(daemon, strict_issuer, 2)
    assert other.wait("tried", 2) == [1, 1]
    assert good.wait("sequence", 2)[:2] == [1, 2]
    standing = subscriber(daemon, "deaf")
    assert standing["last_error"] == "it took longer than 0.5 s over event 1"
    assert (standing["place"], standing["set_aside"]) == (0, 0)


def test_a_flood_of_lines_is_bounded_in_the_log_and_holds_up_nobody(
    strict_issuer: RunningIssuer, start: Start, good: Listening, other: Listening
) -> None:
    naughty = other.table("naughty", how="floods")
    daemon = start(configuration(strict_issuer) + f"{naughty}\n{good.table('teller')}")
    other.wait("state", 1)
    good.wait("state", 1)
    log_in(daemon, strict_issuer, 3)
    good.wait("sequence", 3)
    daemon.logged(1, event="subscriber's lines left out", subscriber="naughty")
    log_in(daemon, strict_issuer, 3, first=20)
    good.wait("sequence", 9)
    said = daemon.logged(1, event="subscriber says", subscriber="naughty")
    assert said[0]["line"].startswith("flood 0 xxx")
    left_out = daemon.logged(1, event="subscriber's lines left out")
    assert sum(each["lines"] for each in left_out) > len(said)


def test_what_was_set_aside_is_seen_and_sent_again_when_an_operator_says_so(
    strict_issuer: RunningIssuer, start: Start, other: Listening
) -> None:
    until = other.path.with_name("behave")
    naughty = other.table("naughty", name="hook", how="raises", until=str(until))
    daemon = start(configuration(strict_issuer, events="max_attempts = 1") + naughty)
    other.wait("state", 1)
    log_in(daemon, strict_issuer, 1)
    daemon.logged(2, event="event set aside")
    with Operator(daemon) as operator:
        (hook,) = operator.get("/v1/subscribers")["subscribers"]
        assert hook["status"]["set_aside"] == 2
        first, second = hook["set_aside"]
        assert (first["sequence"], first["kind"], first["attempts"]) == (1, "session.opened", 1)
        assert first["error"].startswith("ValueError: not today")
        assert (second["sequence"], second["kind"]) == (2, "session.closed")
        until.touch()
        answer = operator.ask("POST", "/v1/subscribers/hook/retry")
        assert (answer.status_code, answer.json()) == (200, {"events": 2})
        assert other.wait("sequence", 2) == [1, 2]
        daemon.logged(2, event="set-aside event received")
        assert operator.get("/v1/status")["subscribers"][0]["set_aside"] == 0
        (audited,) = daemon.logged(1, event="set-aside events tried again", subscriber="hook")
        assert (audited["uid"], audited["pid"]) == (os.geteuid(), os.getpid())
        assert operator.ask("POST", "/v1/subscribers/none/retry").status_code == 404


def test_set_aside_events_are_given_up_when_an_operator_says_so(
    strict_issuer: RunningIssuer, start: Start, other: Listening
) -> None:
    naughty = other.table("naughty", how="crashes")
    daemon = start(configuration(strict_issuer, events="max_attempts = 1") + naughty)
    other.wait("state", 1)
    log_in(daemon, strict_issuer, 1)
    daemon.logged(2, event="event set aside")
    with Operator(daemon) as operator:
        answer = operator.ask("DELETE", "/v1/subscribers/naughty/set-aside")
        assert (answer.status_code, answer.json()) == (200, {"events": 2})
        (naughty_one,) = operator.get("/v1/subscribers")["subscribers"]
        assert naughty_one["set_aside"] == []
        assert operator.ask("DELETE", "/v1/subscribers/none/set-aside").status_code == 404
    daemon.logged(1, event="set-aside events given up", events=2)


def test_nothing_is_lost_and_the_order_is_kept_over_kill_9(
    strict_issuer: RunningIssuer, start: Start, good: Listening
) -> None:
    daemon = start(configuration(strict_issuer) + good.table("teller"))
    good.wait("state", 1)
    for round_number in range(1, 4):
        log_in(daemon, strict_issuer, 5, first=10 * round_number)
        daemon.kill()
        daemon.start()
    good.wait("state", 4)
    log_in(daemon, strict_issuer, 1, first=90)
    with Operator(daemon) as operator:
        last = operator.get("/v1/status")["last_sequence"]
    assert last >= 16
    assert in_order(good.wait_for("sequence", last)) == list(range(1, last + 1))


def test_over_kill_9_nothing_comes_again_but_the_last_event_that_was_sent(
    strict_issuer: RunningIssuer, start: Start, good: Listening
) -> None:
    daemon = start(configuration(strict_issuer) + good.table("teller"))
    good.wait("state", 1)
    for round_number in range(1, 4):
        log_in(daemon, strict_issuer, 5, first=10 * round_number)
        good.wait_for("sequence", 10 * round_number)
        daemon.kill()
        daemon.start()
    log_in(daemon, strict_issuer, 1, first=90)
    told = good.wait_for("sequence", 32)
    assert [number for number, _ in groupby(told)] == list(range(1, 33))


def test_a_subscriber_ends_with_the_daemon_even_when_that_is_killed(
    strict_issuer: RunningIssuer, start: Start, other: Listening
) -> None:
    daemon = start(configuration(strict_issuer) + other.table("naughty", how="blocks"))
    other.wait("state", 1)
    pid = subscriber(daemon, "naughty")["pid"]
    log_in(daemon, strict_issuer, 1)
    other.wait("tried", 1)
    child = os.pidfd_open(pid)
    try:
        os.kill(pid, signal.SIGTERM)  # as a service manager may, to all of its processes
        daemon.kill()
        # A pidfd is readable when its process has ended.
        assert select.select([child], [], [], 10)[0] == [child]
    finally:
        os.close(child)


def test_a_subscriber_is_given_nothing_but_its_events(
    strict_issuer: RunningIssuer,
    start: Start,
    other: Listening,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (folder / "credentials").mkdir(mode=0o700)
    for name, value in {
        "CREDENTIALS_DIRECTORY": str(folder / "credentials"),
        "SECRET_OF_THE_DAEMON": "hidden",
        "LANG": "C.UTF-8",
    }.items():
        monkeypatch.setenv(name, value)
    daemon = start(configuration(strict_issuer) + other.table("onlooker"))
    other.wait("state", 1)
    log_in(daemon, strict_issuer, 1)
    (seen,) = other.wait("environment", 1)[:1]
    assert seen["LANG"] == "C.UTF-8"
    assert seen.keys() <= {
        *("PATH", "LANG", "LC_ALL", "LC_CTYPE", "HOME", "PYTHONPATH", "TZ"),
        *("PYTHONUNBUFFERED", "MALLOC_ARENA_MAX"),
    }
    assert str(folder / "credentials") not in json.dumps(other.told)
    descriptors = {int(number): what for number, what in other.all("descriptors")[0].items()}
    assert descriptors[0] == "/dev/null"
    assert descriptors[1] == descriptors[2]
    assert descriptors[1].startswith(("pipe:", "socket:"))
    others = [what for number, what in descriptors.items() if number > 2]
    assert sum(what.startswith("socket:") for what in others) <= 4  # wire, loop's pair, teller's
    assert not any(str(folder) in what or ".db" in what for what in others)
    assert other.all("core")[0] == [0, 0]
    assert other.all("memory")[0] == [536870912, 536870912]
    assert other.all("is_leader")[0]
    assert other.all("no_new_privs")[0]
    assert other.all("stdin")[0] == ""


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ('plugin = "audti"', "subscriber[audti].plugin: no plugin 'audti' in sessiond.subscribers"),
        ('plugin = "teller"', "subscriber[teller].path is missing"),
        ('plugin = "teller"\npath = 3', "subscriber[teller].path is wrong: Expected `str`"),
        (
            'plugin = "teller"\npath = "p"\npaht = 1',
            "subscriber[teller].paht is unknown; did you mean path?",
        ),
        ('plugin = "naughty"\nname = "n"\nwhy = 1', "subscriber[n]: TypeError: "),
        ('plugin = "absent"', "subscriber[absent]: plugin 'absent' of sessiond.subscribers"),
    ],
)
def test_one_that_cannot_start_is_left_out_loudly_unless_it_is_required(
    strict_issuer: RunningIssuer, start: Start, table: str, problem: str
) -> None:
    text = configuration(strict_issuer) + f"[[subscriber]]\n{table}\n"
    with pytest.raises(DaemonError) as ended:
        start(text + "required = true\n")
    assert "exit 78" in str(ended.value)
    assert problem in str(ended.value)
    daemon = start(text)
    log_in(daemon, strict_issuer, 1)
    (told,) = daemon.logged(1, event="subscriber left out")
    assert told["problem"].startswith(problem.split(": ")[0])
    daemon.logged(1, event="subscriber failed")
    standing = subscriber(daemon, told["subscriber"])
    assert (standing["state"] in ("waiting", "starting"), standing["lag"]) == (True, 2)
    assert standing["last_error"] != ""


def test_one_that_dies_while_it_starts_keeps_nobody_from_logging_in(
    strict_issuer: RunningIssuer, start: Start, good: Listening
) -> None:
    dying = '[[subscriber]]\nplugin = "dying"\n'
    daemon = start(configuration(strict_issuer) + dying + good.table("teller"))
    good.wait("state", 1)
    log_in(daemon, strict_issuer, 2)
    good.wait("sequence", 2)
    error = "it ended with exit code 7"
    daemon.logged(1, event="subscriber's check failed", subscriber="dying", error=error)
    daemon.logged(2, event="subscriber failed", subscriber="dying", error=error)
    standing = subscriber(daemon, "dying")
    assert (standing["last_error"], standing["place"]) == (error, 0)
    assert standing["restarts"] >= 1


def test_a_reload_starts_new_ones_stops_removed_ones_and_refuses_wrong_ones(
    strict_issuer: RunningIssuer, start: Start, good: Listening, other: Listening
) -> None:
    plain = configuration(strict_issuer)
    daemon = start(plain + good.table("teller"))
    good.wait("state", 1)

    def reload(tables: str, **logged: Any) -> None:
        text = (plain + tables).format(folder=daemon.folder, port=daemon.port)
        (daemon.folder / "config.toml").write_text(text)
        os.kill(daemon.pid, signal.SIGHUP)
        daemon.logged(1, **logged)

    reload(
        good.table("teller") + '\n[[subscriber]]\nplugin = "naughty"',
        event="configuration refused",
    )
    reload(other.table("teller", name="other"), event="configuration applied", generation=2)
    other.wait("state", 1)
    assert good.wait("state", 2) == ["started", "stopped"]
    log_in(daemon, strict_issuer, 1)
    # The reload is the first event, the login and its end are the next two.
    assert other.wait("sequence", 3) == [1, 2, 3]
    assert good.all("sequence") == []
    both = f"{good.table('teller')}\n{other.table('teller', name='other')}"
    reload(both, event="configuration applied", generation=3)
    assert good.wait_for("sequence", 4) == [1, 2, 3, 4]  # from its place; the second reload too
    assert other.all("state") == ["started"]
