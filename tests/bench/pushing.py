"""From an operator's revocation to the push that closes the handle, beside a round trip."""

import json
import socket
import time
from collections.abc import Iterator
from uuid import UUID

from sessiond.qipc import MessageKind
from sessiond.testing import FakeProcess
from tests.bench.bench import Bench
from tests.bench.everybody import Control
from tests.bench.figures import Figures, Row, medians, waits
from tests.bench.speech import PING
from tests.running_daemon import RunningDaemon

SESSIONS = 400  # revoked one by one
OF_ONE = 1000  # sessions of one user
ROUNDS = 3
HEADER = 8  # bytes


def measure(bench: Bench) -> Iterator[Row]:
    """Measure pushes of one session each, and of all that a user has."""
    with bench.fast_daemon() as daemon, FakeProcess(daemon.address) as process:
        process.hello()
        control = Control(daemon.folder / "c")
        pushes, pings, answers = _one_by_one(bench, process, control)
        users = [_whole_user(bench, daemon, n) for n in range(bench.rounds(ROUNDS))]
    round_trip = waits(pings)
    yield Row("a ping, until its answer", round_trip, "a round trip of the q process", "ping")
    yield Row("a request to the control socket, until its answer", waits(answers), "GET /healthz")
    over = waits(pushes)["p99 ms"] - round_trip["p50 ms"]
    yield Row(
        "revoking a session, until q has the push",
        {**waits(pushes), "over ms": over},
        f"committed in between; p99 is {over:.1f} ms over a ping's p50",
        "push",
    )
    count = bench.few(OF_ONE)
    yield Row(
        f"revoking a user of {count:,} sessions, until the last push", medians(users), key="user"
    )


def _one_by_one(
    bench: Bench, process: FakeProcess, control: Control
) -> tuple[list[float], list[float], list[float]]:
    pushes, pings, answers = [], [], []
    for number, login in enumerate(bench.minted("pushed", bench.few(SESSIONS)), 1):
        session = process.log_in(*login, number)["session"]
        began = time.monotonic()
        process.send(PING)
        _receive(process.socket, 1, MessageKind.RESPONSE)
        pings.append(time.monotonic() - began)
        began = time.monotonic()
        control.request("GET", "/healthz")
        control.getresponse().read()
        answers.append(time.monotonic() - began)
        pushes.append(_revoke(process, control, {"session": str(UUID(str(session)))}, 1))
    return pushes, pings, answers


def _whole_user(bench: Bench, daemon: RunningDaemon, number: int) -> Figures:
    count = bench.few(OF_ONE)
    user, token = bench.minted("whole", number + 1)[number]
    with FakeProcess(daemon.address) as process:
        process.hello()
        for handle in range(1, count + 1):
            process.log_in(user, token, handle)
        control = Control(daemon.folder / "c")
        control.connect()
        return {"max ms": 1000 * _revoke(process, control, {"user": user}, count)}


def _revoke(process: FakeProcess, control: Control, whom: dict[str, str], pushes: int) -> float:
    """Return the seconds until so many pushes have come."""
    body = json.dumps({**whom, "reason": "bench"})
    began = time.monotonic()
    control.request("POST", "/v1/revocations", body, {"Content-Type": "application/json"})
    _receive(process.socket, pushes, MessageKind.ASYNC)
    taken = time.monotonic() - began
    answer = control.getresponse()
    found = json.load(answer)
    if answer.status >= 300:
        raise RuntimeError(f"the revocation was refused: {found}")
    return taken


def _receive(connection: socket.socket, count: int, kind: MessageKind) -> None:
    """Read so many messages of a kind, by their headers alone."""
    received = bytearray()
    while count:
        received += connection.recv(1 << 20)
        while len(received) >= HEADER:
            size = int.from_bytes(received[4:HEADER], "little")
            if len(received) < size:
                break
            count -= received[1] == kind
            del received[:size]
