"""The bench's own arithmetic, and its generator against a daemon."""

import os
import sqlite3
import time
import xml.etree.ElementTree as ET
from contextlib import closing
from itertools import count
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from sessiond.qipc import MessageKind, encode_message
from sessiond.testing import FakeProcess, calls
from tests.bench import dovecot, lending, stores, web
from tests.bench.aims import aims
from tests.bench.bench import Bench, dealt, must_be_accepted, taking_turns
from tests.bench.document import PLOT, placed, write
from tests.bench.dovecot import Dovecot
from tests.bench.fast_issuer import FastIssuer
from tests.bench.figures import CPU, WAIT, Row, medians, percentile, table
from tests.bench.floor import Floor
from tests.bench.load import Generator, Load, Plan, carry_out
from tests.bench.machine import cpu_seconds, facts
from tests.bench.minting import Minting, opaque
from tests.bench.plot import plot
from tests.bench.speech import PING, SPEECHES, opened_and_ping
from tests.bench.tokens import grant_tokens
from tests.issuer.running import RunningIssuer
from tests.running_daemon import RunningDaemon, configuration

MARKED = "before\n<!-- {0} -->\nold\n<!-- /{0} -->\nafter\n"


@pytest.mark.parametrize(
    ("count", "part", "found"), [(100, 0.5, 50), (100, 0.99, 99), (101, 0.5, 51), (1, 0.99, 1)]
)
def test_a_percentile_is_the_nearest_rank(count: int, part: float, found: int) -> None:
    assert percentile(range(count, 0, -1), part) == found


def test_a_slow_round_does_not_move_the_median() -> None:
    rounds = [
        {"p50 ms": 1.0, "per s": 9.0},
        {"p50 ms": 50.0, "per s": 8.0},
        {"p50 ms": 2.0, "per s": 1.0},
    ]

    assert medians(rounds) == {"p50 ms": 2.0, "per s": 8.0}


def test_figures_stand_below_their_column_and_facts_above_all() -> None:
    text = table({"cores": "2"}, [Row("a login", {"p50 ms": 1.234, "MiB": 67.4}, "cold")])

    facts_line, _, head, line, *_ = text.splitlines()
    assert facts_line == "cores: 2"
    assert line.split() == ["a", "login", "1.23", "67", "cold"]
    assert line.index("1.23") + 4 == head.index("p50 ms") + len("p50 ms")


def test_the_facts_name_the_file_system_of_the_folder() -> None:
    assert facts(Path("/proc/self"))["file system"] == "proc"


def test_a_ratio_is_that_of_two_loads_of_one_round() -> None:
    rounds = count(1)

    def load(seconds: float) -> Load:
        return Load(waits=[seconds], seconds=1.0, server_cpu=seconds)

    def floor(_: int) -> Load:
        return load(float(next(rounds)))  # a machine that becomes slower and slower

    turns = {"floor": floor, "daemon": lambda number: load(2.0 * (number + 1))}
    found = taking_turns(3, turns, {"daemon": "floor", "floor": "who takes no part"})

    ratios = ("p50/floor", "CPU/floor", "p50/peer", "per s/peer")
    assert [found["daemon"][name] for name in ratios] == [2.0, 2.0, 2.0, 1.0]
    assert "p50/peer" not in found["floor"]


def test_the_cpu_time_of_a_process_is_that_of_all_its_threads() -> None:
    before = cpu_seconds(os.getpid())

    assert before == pytest.approx(time.process_time(), abs=0.05)


def test_logins_are_dealt_out_one_by_one() -> None:
    a, b, c = ("a", ""), ("b", ""), ("c", "")

    assert dealt([a, b, c], 2) == [[a, c], [b]]


def test_a_load_with_a_refused_login_is_no_measurement() -> None:
    load = Load()
    load.outcomes.update(["", "deadline"])

    with pytest.raises(RuntimeError, match="deadline"):
        must_be_accepted(load)


def test_a_load_makes_every_login_and_leaves_nothing(
    strict_issuer: RunningIssuer, tmp_path: Path
) -> None:
    tokens = grant_tokens(strict_issuer, 3, prefix="bench")
    logins = [(each.user, each.access) for each in tokens]
    wrong = (tokens[0].user, "a plain password")
    with RunningDaemon(tmp_path, configuration(strict_issuer)) as daemon:
        plan = Plan(
            daemon.address,
            daemon.pid,
            [strict_issuer.pid],
            [logins, [*logins, wrong]],
            meanwhile=logins[0],
        )
        load = carry_out(plan)
        with closing(sqlite3.connect(daemon.database)) as database:
            left = database.execute("SELECT * FROM sessions").fetchall()

    assert load.outcomes == {"": 6, "nottoken": 1}
    assert len(load.waits) == 7
    assert len(load.meanwhile) >= 1
    assert left == []
    assert load.server_mib > 10


def test_opened_is_what_the_hook_sends() -> None:
    session = UUID(int=7)
    sent = encode_message(MessageKind.ASYNC, calls.opened_call(session, 300))

    assert opened_and_ping(session.bytes, 300) == sent + PING


def test_of_an_answer_the_verdict_and_the_session_are_read(
    strict_issuer: RunningIssuer, tmp_path: Path
) -> None:
    token = grant_tokens(strict_issuer, 1, prefix="verdict")[0]
    with (
        RunningDaemon(tmp_path, configuration(strict_issuer)) as daemon,
        FakeProcess(daemon.address) as process,
    ):
        process.hello()
        process.send(next(SPEECHES["sessiond"].logins([(token.user, token.access)])))
        received = bytearray()
        while not (answers := list(SPEECHES["sessiond"].answers(received))):
            received += process.socket.recv(4096)
        (session,) = process.sessions()

    verdict = SPEECHES["sessiond"].verdict(answers[0])
    assert verdict.reason == ""
    assert session["session"] == UUID(bytes=verdict.session)


def test_each_kind_of_request_over_http_is_measured_with_what_it_is_to_come_to(
    strict_issuer: RunningIssuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "REVOKED", 3)
    with (
        FastIssuer(tmp_path) as fast,
        Floor(tmp_path, fast.pem) as floor,
        Generator() as generator,
    ):
        bench = Bench(strict_issuer, fast, floor, generator, tmp_path, is_quick=True)
        *kinds, revoked = web.measure(bench)

    assert [row.what for row in kinds] == [web.BEARER, web.COOKIE, web.FIRST, web.BEGUN]
    shown = {WAIT, "p99 ms", CPU, "p50/floor", "CPU/floor"}
    assert all(shown <= row.figures.keys() for row in kinds)
    assert {WAIT, "p99 ms"} <= revoked.figures.keys()


def test_tokens_for_others_are_measured_and_one_call_does_for_all_who_ask(
    strict_issuer: RunningIssuer, tmp_path: Path
) -> None:
    with (
        FastIssuer(tmp_path) as fast,
        Floor(tmp_path, fast.pem) as floor,
        Generator() as generator,
    ):
        bench = Bench(strict_issuer, fast, floor, generator, tmp_path, is_quick=True)
        *kinds, at_once = lending.measure(bench)

    assert [row.what for row in kinds] == [
        lending.ISSUED,
        lending.SPENT,
        lending.LOGIN,
        lending.KEPT,
    ]
    shown = {WAIT, "p99 ms", "per s", CPU, "p50/floor", "CPU/floor"}
    assert all(shown <= row.figures.keys() for row in kinds)
    assert at_once.note.endswith("calls to the issuer: 1")


def test_token_stores_are_measured_from_a_read_to_the_lock_s_way_to_the_next(
    strict_issuer: RunningIssuer, tmp_path: Path
) -> None:
    with (
        FastIssuer(tmp_path) as fast,
        Floor(tmp_path, fast.pem) as floor,
        Generator() as generator,
    ):
        bench = Bench(strict_issuer, fast, floor, generator, tmp_path, is_quick=True)
        rows = list(stores.measure(bench))

    assert [row.what for row in rows] == [
        stores.READ, stores.READ_ANEW, stores.RENEWAL, stores.PASSED
    ]  # fmt: skip
    assert all({WAIT, "p99 ms"} <= row.figures.keys() for row in rows)


def test_a_request_that_comes_to_something_else_is_no_measurement(
    strict_issuer: RunningIssuer, tmp_path: Path
) -> None:
    with (
        RunningDaemon(tmp_path, configuration(strict_issuer)) as daemon,
        FakeProcess(daemon.address) as process,
    ):
        process.hello()
        requests = [web.requested(bearer="made up"), web.requested()]
        load = web.asked(daemon, process, requests, "allow", issuers=[strict_issuer.pid])

    assert load.outcomes == {"malformed": 1, "basic": 1}


def test_the_floor_commits_a_row_for_each_good_signature(tmp_path: Path) -> None:
    minting = Minting("http://127.0.0.1/nobody")
    (tmp_path / "pem").write_bytes(minting.pem)
    tokens = [(f"u{n}", minting.token(f"u{n}")) for n in range(6)]
    with Floor(tmp_path, tmp_path / "pem") as floor:
        plan = Plan(floor.address, floor.pid, [], dealt(tokens, 3), kind="floor")
        load = must_be_accepted(carry_out(plan))

    with closing(sqlite3.connect(tmp_path / "floor.db")) as database:
        assert database.execute("SELECT count(*) FROM rows").fetchall() == [(6,)]
    assert len(load.waits) == 6


def test_the_floor_answers_no_forged_token(tmp_path: Path) -> None:
    minting, stranger = (Minting("http://127.0.0.1/nobody") for _ in range(2))
    (tmp_path / "pem").write_bytes(minting.pem)
    forged = [[("u", stranger.token("u"))]]
    with Floor(tmp_path, tmp_path / "pem") as floor:
        plan = Plan(floor.address, floor.pid, [], forged, kind="floor")
        with pytest.raises(ConnectionError):
            carry_out(plan)


def test_the_fast_issuer_waits_as_long_as_it_is_told(tmp_path: Path) -> None:
    with FastIssuer(tmp_path) as issuer:
        issuer.wait(0.05)
        url = f"{issuer.issuer}/introspect"
        known = httpx.post(url, data={"token": opaque("alice")}, trust_env=False).json()
        unknown = httpx.post(url, data={"token": "made up"}, trust_env=False).json()
        calls_ = issuer.calls()

    assert (known["active"], known["preferred_username"]) == (True, "alice")
    assert unknown == {"active": False}
    assert [answered - came >= 0.049 for came, answered in calls_] == [True, True]


@pytest.mark.skipif(not dovecot.version(), reason="Dovecot is not installed")
def test_dovecot_verifies_the_same_tokens(tmp_path: Path) -> None:
    minting = Minting("http://127.0.0.1/nobody")
    good, other = minting.token("alice"), Minting("http://127.0.0.1/nobody").token("alice")
    folder = tmp_path / "d"
    with Dovecot(folder, dovecot.local(folder, minting.pem)) as server:
        logins = [[("alice", good), ("alice", other)]]
        load = carry_out(Plan(server.address, server.pid, [], logins, kind="Dovecot"))

    assert load.outcomes == {"": 1, "refused": 1}


def test_an_aim_says_by_how_much_it_is_missed_and_nothing_of_what_was_not_measured() -> None:
    rows = [
        Row("", {"p50/floor": 3.2, WAIT: 1.0, CPU: 150.0}, key="cold.1"),
        Row("", {"late": 0.0, "against least": 1.05}, key="storm"),
    ]

    told = {aim.what: (aim.measured, aim.verdict) for aim in aims(rows)}
    assert told == {
        "cold login, p50 against the floor": ("3.20", "missed: 2 times that"),
        "CPU of a cold login, 1 connection": ("150 µs", "met"),
        "storm: refreshed too late": ("0", "met"),
        "storm: total against the least": ("1.05", "met"),
    }


def test_the_plot_has_a_line_for_each_that_was_measured() -> None:
    rows = [
        Row("", {CPU: 200.0 + n, WAIT: 1.0 * n}, key=f"{name}.{n}")
        for name in ("cold", "floor")
        for n in (1, 50)
    ]
    root = ET.fromstring(plot(rows))

    lines = root.findall(".//{http://www.w3.org/2000/svg}polyline")
    words = {each.text for each in root.iter("{http://www.w3.org/2000/svg}text")}
    assert len(lines) == 4  # CPU time and wait of both
    assert {"connections", "CPU time a login, µs", "cold login", "floor"} <= words


def test_figures_go_between_their_marks_and_nowhere_else(tmp_path: Path) -> None:
    document = tmp_path / "performance.md"
    document.write_text("".join(MARKED.format(name) for name in ("machine", "aims", "figures")))
    (tmp_path / PLOT).parent.mkdir()
    rows = [Row("cold", {"p50/floor": 1.5, WAIT: 1.0, CPU: 90.0}, key="cold.1")]
    for _ in range(2):  # the second time over the first
        write(document, {"cores": "2"}, rows)

    text = document.read_text()
    assert text.count("- cores: 2") == text.count("| cold login, p50 against the floor |") == 1
    assert text.count("| cold | 1.00 | 1.50 |") == 1
    assert text.count("before\n") == 3
    with pytest.raises(ValueError, match="0 places"):
        placed(text, "another", "")


def test_the_document_has_all_the_marks() -> None:
    text = (Path(__file__).parents[2] / "docs/performance.md").read_text()

    for name in ("machine", "aims", "figures", "rooms"):
        assert placed(text, name, "")
