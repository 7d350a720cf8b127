"""Attacks on token stores: by those who may use them, and by what they send."""

import json
import socket
import sqlite3
import time
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import httpx
import pytest

from tests.integration.conftest import Start
from tests.integration.operating import Operator, control_of
from tests.integration.test_control_socket import as_root
from tests.integration.test_storage_faults import disk_full
from tests.integration.test_token_stores import (
    LOCK,
    NOBODY,
    OTHER,
    STORES,
    TOKEN,
    as_somebody,
    hanging,
    program,
    secret_value,
    until_waiting,
)
from tests.issuer.running import RunningIssuer
from tests.running_daemon import RunningDaemon, configuration


@pytest.fixture
def daemon(strict_issuer: RunningIssuer, start: Start) -> RunningDaemon:
    return start(configuration(strict_issuer, **STORES))


def raw(daemon: RunningDaemon, sent: bytes) -> socket.socket:
    """Send bytes over a connection of their own, and return it."""
    peer = socket.socket(socket.AF_UNIX)
    peer.settimeout(30)
    peer.connect(control_of(daemon))
    peer.sendall(sent)
    return peer


@pytest.mark.parametrize(
    "context",
    [
        "Source:quotes",
        " source:quotes",
        "\uff53ource:quotes",
        "s\u043eurce:quotes",
        "source%3Aquotes",
        "../source:quotes",
        "a\u202eb",
        "a b\u200b",
        '"}\\x1b[2J{"',
        "'; DROP TABLE values; --",
        "x" * 256,
    ],
)
def test_a_context_that_looks_like_something_else_is_one_of_its_own(
    daemon: RunningDaemon, context: str
) -> None:
    value = secret_value("a stored value")
    with program(daemon, context=context) as one, program(daemon) as usual:
        assert one.write(value, one.lock()) == 204
        assert one.read() == value
        assert usual.read() is None
        assert one.ask_lock(0).status_code == 200  # taken over, which is logged
    (line,) = daemon.logged(1, event="lock taken over")
    assert line["context"].isprintable()


@pytest.mark.parametrize(
    "query",
    [
        b"context=a%0d%0aInjected:%20x&name=n",
        b"context=a%00&name=n",
        b"context=%ff&name=n",
        b"context=%c2%85&name=n",
        b"context=%e2%80%a8&name=n",
        b"context=a&context=b&name=n",
        b"context=" + b"x" * 257 + b"&name=n",
        b"context=&name=n",
        b"context=a&name=n&more=1",
        b"context[]=a&name=n",
    ],
)
def test_a_place_on_more_than_one_line_or_of_two_minds_is_none(
    daemon: RunningDaemon, query: bytes
) -> None:
    with raw(daemon, b"GET %s?%s HTTP/1.1\r\nHost: x\r\n\r\n" % (TOKEN.encode(), query)) as peer:
        answer = peer.recv(4096)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"Injected" not in answer


def test_methods_and_bodies_that_are_none_change_nothing(daemon: RunningDaemon) -> None:
    with program(daemon) as one:
        fence = one.lock()
        assert one.write(b"kept", fence) == 204
        for method in ("HEAD", "OPTIONS", "PATCH", "TRACE", "POST", "DELETE"):
            assert one.http.request(method, TOKEN, params=one.at).status_code in (400, 405), method
        at = httpx.QueryParams(one.at)
        head = f"PUT {TOKEN}?{at} HTTP/1.1\r\nHost: x\r\nLock: {fence}\r\n".encode()
        chunked = head + b"Transfer-Encoding: chunked\r\n\r\n"
        with raw(daemon, chunked + b"8000\r\n" + b"x" * 32_768 + b"\r\n") as endless:
            endless.sendall((b"8000\r\n" + b"x" * 32_768 + b"\r\n") * 2)
            assert endless.recv(100).startswith(b"HTTP/1.1 413 ")
        for half in (b"Content-Length: 5\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"):
            for begun in (b"", b"5\r\nha"):
                with raw(daemon, head + half + begun) as peer, suppress(ConnectionResetError):
                    peer.shutdown(socket.SHUT_WR)
                    peer.recv(100)
        with ExitStack() as stack:
            for _ in range(60):  # which send nothing more for as long as they may
                stack.enter_context(raw(daemon, head + b"Content-Length: 65536\r\n\r\nx"))
            assert one.read() == b"kept"
        for wrong in ("-1", "1e3", f"{fence}, {fence}", "0x1", "\u0661", "9" * 400, f"{fence}.0"):
            headers = {b"Lock": wrong.encode()}
            answer = one.http.put(TOKEN, params=one.at, content=b"x", headers=headers)
            assert answer.status_code == 409, wrong
        assert one.read() == b"kept"


def test_a_value_of_any_bytes_outlives_a_kill_amid_writes(daemon: RunningDaemon) -> None:
    value = bytes(range(256)) * 256
    with program(daemon) as one:
        assert one.write(value, one.lock()) == 204
        at = httpx.QueryParams({"context": "b", "name": "n"})
        raw(daemon, f"PUT {TOKEN}?{at} HTTP/1.1\r\nHost: x\r\nLock: 1\r\n\r\n".encode()).close()
        daemon.kill()
    daemon.start()
    with program(daemon) as one:
        assert one.read() == value


def test_a_stop_with_many_who_wait_is_over_in_time(daemon: RunningDaemon) -> None:
    with program(daemon) as one, Operator(daemon) as operator:
        one.lock()
        crowd = [hanging(daemon) for _ in range(60)]
        until_waiting(operator, 60)
        began = time.monotonic()
        assert daemon.stop() == 0
        assert time.monotonic() - began < 10.0
        for each in crowd:
            each.close()


def test_one_user_neither_fills_the_stores_nor_guesses_another_s_fence(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    as_root()
    users = f"users = [{NOBODY}, {OTHER}]\nshared = true\nmax_contexts = 8"
    daemon = start(configuration(strict_issuer, stores=users, listen=f"control_group = {NOBODY}"))
    daemon.folder.chmod(0o755)
    Path(control_of(daemon)).chmod(0o666)  # as if both were in its group
    with program(daemon, context="0") as squatter:
        taken = []
        for number in range(8):
            squatter.at["context"] = str(number)
            taken.append(squatter.write(b"x", squatter.lock()))
        assert taken == [204] * 6 + [507] * 2
        squatter.at["context"] = "0"
        fence = squatter.lock(0)
        theirs = {"context": "t", "name": "oauth"}
        wait = json.dumps({"wait_ms": 0})
        (locked,) = as_somebody(daemon, OTHER, ("POST", LOCK, theirs, wait))
        guessed = json.loads(locked[1])["fence"]
        assert guessed == fence + 1
        squatter.at["context"] = "t"
        assert squatter.write(b"mine", guessed) == 409
        assert squatter.release(guessed) == 409
    written = as_somebody(daemon, OTHER, ("POST", LOCK, theirs, wait), ("PUT", TOKEN, theirs, "x"))
    assert [each[0] for each in written] == [200, 204]


def test_while_the_disk_is_full_nothing_is_written_and_the_lock_stays_its_holder_s(
    daemon: RunningDaemon,
) -> None:
    with program(daemon) as one, program(daemon) as another:
        fence = one.lock()
        assert one.write(b"before", fence) == 204
        with disk_full(daemon):
            assert one.write(b"lost", fence) == 503
            assert one.read() == b"before"
            assert another.write(b"mine", fence + 1) == 409
        assert one.write(b"after", fence) == 204
        assert another.read() == b"after"
        assert one.release(fence) == 204


def test_a_value_moved_to_another_row_by_who_has_the_file_is_nobody_s(
    daemon: RunningDaemon,
) -> None:
    with program(daemon) as one, program(daemon, context="b") as other:
        assert one.write(secret_value("a stored value"), one.lock()) == 204
        assert other.write(b"others", other.lock()) == 204
        daemon.stop()
        with closing(sqlite3.connect(daemon.database)) as database, database:
            moved = database.execute(
                "UPDATE secrets SET sealed = (SELECT sealed FROM secrets WHERE name LIKE '%alice%')"
                " WHERE kind LIKE '%value%'"
            )
            assert moved.rowcount == 2
        daemon.start()
    with program(daemon) as one, program(daemon, context="b") as other:
        assert one.read() is not None
        assert other.read() is None
