"""The bench's own arithmetic, and its generator against a daemon."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.bench.bench import dealt, must_be_accepted
from tests.bench.figures import Row, medians, percentile, table
from tests.bench.load import Load, Plan, carry_out
from tests.bench.machine import facts
from tests.bench.tokens import grant_tokens
from tests.issuer.running import RunningIssuer
from tests.running_daemon import RunningDaemon, configuration


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
