"""A real daemon that publishes to a tickerplant which goes away and comes back."""

import socket
import tempfile
from pathlib import Path

import pytest
from kdb_standin import COLUMNS, Tickerplant

from sessiond.qipc import List, Value, Vector, call, int_
from sessiond.testing import FakeProcess
from tests.integration.operating import Operator
from tests.issuer.running import ALICE, RunningIssuer
from tests.needs import absent
from tests.running_daemon import RunningDaemon, configuration


def log_in(daemon: RunningDaemon, issuer: RunningIssuer, handle: int) -> None:
    """Make two events: a session is opened and closed."""
    with FakeProcess(daemon.address) as q:
        q.hello()
        q.log_in(ALICE, issuer.tokens()["access_token"], handle)
        q.tell(call("disconnect", int_(handle)))
        assert q.sessions() == []


def wait_until_published(daemon: RunningDaemon) -> int:
    """Return the last sequence, once the tickerplant has acknowledged it."""
    with Operator(daemon) as operator:
        while True:
            status = operator.get("/v1/status")
            if status["subscribers"][0]["place"] == status["last_sequence"]:
                last: int = status["last_sequence"]
                return last


def sequences(update: Value) -> list[object]:
    """Return the sequence column of an update."""
    assert isinstance(update, List)
    rows = update.items[2]
    assert isinstance(rows, List)
    column = rows.items[COLUMNS.index("sequence")]
    assert isinstance(column, Vector)
    return list(column.items)


def test_what_happens_while_the_tickerplant_is_away_is_published_when_it_is_back(
    listener: socket.socket,
) -> None:
    if reason := absent("real"):
        pytest.skip(f"needs real: {reason}")
    port = listener.getsockname()[1]
    keys = f'[[subscriber]]\nplugin = "kdb"\nhost = "127.0.0.1"\nport = {port}\n'
    with (
        tempfile.TemporaryDirectory(prefix="sd") as folder,
        RunningIssuer(rotation="strict") as issuer,
        RunningDaemon(Path(folder), configuration(issuer) + keys) as daemon,
    ):
        log_in(daemon, issuer, 5)  # nobody listens yet
        with Tickerplant(listener) as tickerplant:
            log_in(daemon, issuer, 6)
            last = wait_until_published(daemon)
        published = [each for _, update in tickerplant.messages for each in sequences(update)]
        assert published == list(range(1, last + 1))
