"""A q process as the tickerplant, with the schema that the README gives."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from kdb_standin import EVENTS
from sessiond_kdb import Publisher, subscriber
from sessiond_kdb.connection import TickerplantError, UpdateRefusedError

from tests.q.interpreter import Interpreter

README = Path(__file__).parents[1] / "README.md"
QCODE = re.findall(r"```q\n(.*?)```", README.read_text(), re.DOTALL)
SCHEMA, REPEATS = QCODE[0], QCODE[1]
LOG = "tplog:()\n"
UPD = ".u.upd:{[t;x]tplog::tplog,enlist(`upd;t;x);t insert x}\n"


@pytest.fixture
def q(q_executable: str, tmp_path: Path) -> Iterator[Interpreter]:
    script = SCHEMA + LOG + UPD + '.z.pw:{[u;p]p~"right"}\n'
    with Interpreter.start(q_executable, tmp_path, script) as running:
        yield running


@pytest.fixture
def publisher(q: Interpreter, tmp_path: Path) -> Iterator[Publisher]:
    password = tmp_path / "password"
    password.write_text("right\n")
    password.chmod(0o600)
    made = subscriber(
        host="127.0.0.1", port=q.port, user="feed", password_file=str(password), timeout=20.0
    )
    yield made
    made.stop()


def test_the_rows_are_in_the_table_when_the_batch_is_acknowledged(
    q: Interpreter, publisher: Publisher
) -> None:
    publisher.receive_batch(EVENTS)
    assert q.evaluate("count sessionevents") == "4"
    assert q.evaluate("exec sequence from sessionevents") == "7 8 9 19"
    assert q.evaluate("first exec time from sessionevents") == "2026.11.21D09:30:15.250000000"
    assert q.evaluate("exec null sym from sessionevents") == "0101b"
    assert q.evaluate("first sessionevents[`roles]") == "`trader`reader"
    assert q.evaluate("first exec expires from sessionevents") == "2026.11.21D10:30:15.250000000"
    assert q.evaluate("exec null session from sessionevents") == "0101b"


def test_a_row_alone_is_a_row(q: Interpreter, publisher: Publisher) -> None:
    publisher.receive_batch(EVENTS[:1])
    publisher.receive_batch(EVENTS[1:2])
    assert q.evaluate("exec sequence from sessionevents") == "7 8"


def test_the_columns_types_are_those_of_the_schema(q: Interpreter, publisher: Publisher) -> None:
    publisher.receive_batch(EVENTS)
    assert q.evaluate("type each value flip sessionevents") == ("12 11 11 2 6 11 11 0 12 11 7h")


def test_the_readmes_line_leaves_repeats_out(q: Interpreter, publisher: Publisher) -> None:
    publisher.receive_batch(EVENTS[:2])
    publisher.receive_batch(EVENTS)
    assert q.evaluate("count sessionevents") == "6"
    q.run(REPEATS.strip())
    assert q.evaluate("exec sequence from sessionevents") == "7 8 9 19"


def test_the_log_of_a_tickerplant_replays_with_nested_roles(
    q: Interpreter, publisher: Publisher, tmp_path: Path
) -> None:
    publisher.receive_batch(EVENTS)
    q.run(f"`:{tmp_path}/tplog set tplog")
    q.run("before:sessionevents;delete from `sessionevents;upd:insert")
    q.run(f"value each get`:{tmp_path}/tplog")
    assert q.evaluate("count sessionevents") == "4"
    assert q.evaluate("before~sessionevents") == "1b"


def test_q_refuses_a_wrong_password(q: Interpreter) -> None:
    with pytest.raises(TickerplantError, match="perhaps it refuses the user sessiond"):
        subscriber(host="127.0.0.1", port=q.port, timeout=20.0).receive_batch(EVENTS)


def test_sync_brings_the_error_of_upd_back(q: Interpreter, tmp_path: Path) -> None:
    q.run(".u.upd:{[t;x]'length}")
    made = subscriber(
        host="127.0.0.1",
        port=q.port,
        user="feed",
        password_file=str(tmp_path / "password"),
        timeout=20.0,
        sync=True,
    )
    (tmp_path / "password").write_text("right")
    (tmp_path / "password").chmod(0o600)
    with pytest.raises(UpdateRefusedError, match=r"\.u\.upd failed: 'length"):
        made.receive_batch(EVENTS)
    made.stop()
