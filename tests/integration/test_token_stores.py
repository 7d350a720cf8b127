"""Token stores as programs use them: HTTP over the real socket, and a daemon that is killed."""

import json
import os
import secrets
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import canary
from tests.integration.conftest import Start
from tests.integration.operating import Operator, control_of
from tests.integration.sourced import source, with_sources
from tests.integration.test_control_socket import as_root
from tests.integration.test_reload import write
from tests.issuer.running import RunningIssuer
from tests.running_daemon import RunningDaemon, configuration

TOKEN, LOCK = "/v1/stores/token", "/v1/stores/lock"
CONTEXT = "externalToken://alice@corp.example/Ωmega?&=+%"
NOBODY, OTHER = 65534, 65533
STORES = {"stores": f"users = [{NOBODY}, {OTHER}]"}


class Program:
    """One that keeps its tokens here, on a connection of its own."""

    def __init__(self, daemon: RunningDaemon, *, context: str = CONTEXT, name: str = "oauth"):
        self.at = {"context": context, "name": name}
        self.http = httpx.Client(
            transport=httpx.HTTPTransport(uds=control_of(daemon)),
            base_url="http://sessiond",
            timeout=70.0,
        )

    def read(self) -> bytes | None:
        answer = self.http.get(TOKEN, params=self.at)
        if answer.status_code == 404:
            return None
        assert answer.status_code == 200, answer.text
        return answer.content

    def ask_lock(self, wait_ms: int) -> httpx.Response:
        return self.http.post(LOCK, params=self.at, json={"wait_ms": wait_ms})

    def lock(self, wait_ms: int = 5000) -> int:
        answer = self.ask_lock(wait_ms)
        assert answer.status_code == 200, answer.text
        return int(answer.json()["fence"])

    def write(self, value: bytes, fence: int | None) -> int:
        headers = {} if fence is None else {"Lock": f"{fence}"}
        return self.http.put(TOKEN, params=self.at, content=value, headers=headers).status_code

    def release(self, fence: int) -> int:
        answer = self.http.delete(LOCK, params=self.at, headers={"Lock": f"{fence}"})
        return answer.status_code

    def close(self) -> None:
        self.http.close()


@contextmanager
def program(daemon: RunningDaemon, **at: str) -> Iterator[Program]:
    with closing(Program(daemon, **at)) as one:
        yield one


@pytest.fixture
def daemon(strict_issuer: RunningIssuer, start: Start) -> RunningDaemon:
    return start(configuration(strict_issuer, **STORES))


def secret_value(name: str) -> bytes:
    """Return a value of which nothing may stand in a log, a database or an answer to others."""
    value = secrets.token_urlsafe(64)
    canary.remember(value, name)
    return f'{{"access": "{value}"}}'.encode()


def test_a_program_reads_locks_reads_again_writes_and_releases(daemon: RunningDaemon) -> None:
    value = secret_value("a stored value")
    with program(daemon) as one, program(daemon) as another:
        assert one.read() is None
        fence = one.lock()
        assert one.read() is None
        assert one.write(value, fence) == 204
        assert another.read() == value
        assert one.release(fence) == 204
        assert one.release(fence) == 409
        assert one.write(b"late", fence) == 409
        assert one.write(b"without", None) == 428
        fence = another.lock()
        assert another.write(b"x" * 65_536, fence) == 204
        assert another.write(b"x" * 65_537, fence) == 413
        assert one.read() == b"x" * 65_536
        assert another.write(b"", fence) == 204
        assert one.read() is None


def test_what_is_kept_is_told_to_nobody_else(daemon: RunningDaemon) -> None:
    value = secret_value("a stored value")
    with program(daemon) as one, Operator(daemon) as operator:
        assert one.write(value, one.lock()) == 204
        assert one.ask_lock(250).status_code == 200  # taken over, which is logged
        shown = [operator.get("/v1/stores"), operator.get("/v1/status")]
        operator.ask("GET", "/metrics")
        (kept,) = shown[0]["stores"]
        assert kept["context"] == CONTEXT
        assert kept["values"][0]["size"] == len(value)
        assert kept["locks"][0]["uid"] == os.geteuid()
        assert shown[1]["stores"] == {"contexts": 1, "locks": 1, "waiting": 0}
        dropped = operator.ask("DELETE", "/v1/stores", params={"context": CONTEXT})
        assert dropped.json() == {"values": 1, "locks": 1}
        texts = "".join(operator.texts).encode()
        assert one.read() is None
    (line,) = daemon.logged(1, event="lock taken over")
    assert line["context"].startswith("externalToken://alice@corp.example/")
    daemon.stop()
    files = [file.read_bytes() for file in daemon.folder.glob("sessiond.db*")]
    assert files
    for text in (texts, "".join(daemon.lines).encode(), *files):
        assert value[12:40] not in text
        assert canary.found_in(text) == set()


def test_what_was_acknowledged_is_there_after_a_kill_and_fences_from_before_are_dead(
    daemon: RunningDaemon,
) -> None:
    """Programs write as fast as they can while the daemon is killed, again and again."""
    acknowledged, asked = dict[str, list[bytes]](), dict[str, list[bytes]]()
    for turn in range(3):
        stop, fences = threading.Event(), dict[str, int]()

        def write(name: str, turn: int, stop: threading.Event, fences: dict[str, int]) -> None:
            number = 0
            with suppress(httpx.TransportError), program(daemon, name=name) as one:
                fences[name] = fence = one.lock(250)
                while not stop.is_set():
                    number += 1
                    value = f"{turn} {number} ".encode() * 50
                    asked.setdefault(name, []).append(value)
                    if one.write(value, fence) == 204:
                        acknowledged.setdefault(name, []).append(value)

        with ThreadPoolExecutor(4) as pool:
            for number in range(4):
                pool.submit(write, f"name {number}", turn, stop, fences)
            enough = 20 * (turn + 1)
            while sum(map(len, acknowledged.values())) < 4 * enough:
                time.sleep(0.005)
            daemon.kill()
            stop.set()
        daemon.start()
        assert len(fences) == 4
        for name, fence in fences.items():
            with program(daemon, name=name) as one:
                later = asked[name][asked[name].index(acknowledged[name][-1]) :]
                assert one.read() in later  # what was last said to be on disk, or was under way
                assert one.write(b"of an earlier run", fence) == 409
                new = one.lock(250)
                assert new > max(fences.values())
                assert one.write(b"of an earlier run", fence) == 409
                assert one.release(fence) == 409
                assert one.release(new) == 204


def until_waiting(operator: Operator, many: int) -> None:
    """Return when so many requests wait for a lock."""
    end = time.monotonic() + 20
    while operator.get("/v1/status")["stores"]["waiting"] != many:
        assert time.monotonic() < end
        time.sleep(0.005)


def test_many_who_renew_one_token_lose_no_update_though_some_die(daemon: RunningDaemon) -> None:
    """Each adds one under the lock, as a driver renews; some take it and never come back."""
    done = list[int]()

    def add(number: int) -> None:
        with program(daemon) as one:
            while True:
                answer = one.ask_lock(500)
                if answer.status_code == 408:
                    continue
                fence = int(answer.json()["fence"])
                if number % 10 == 9 and number not in dead:
                    dead.add(number)  # as if it were killed: its lock is taken over
                    continue
                before = int(one.read() or b"0")
                if one.write(b"%d" % (before + 1), fence) == 204:
                    done.append(before + 1)
                    one.release(fence)
                    return

    dead = set[int]()
    with ThreadPoolExecutor(30) as pool:
        list(pool.map(add, range(30)))
    assert sorted(done) == [*range(1, 31)]
    with program(daemon) as one:
        assert one.read() == b"30"


def test_a_dead_holder_s_lock_is_free_after_as_long_as_one_waits(daemon: RunningDaemon) -> None:
    with program(daemon) as dying, program(daemon) as next_one:
        old = dying.lock()
        dying.close()
        began = time.monotonic()
        new = next_one.lock(700)
        assert time.monotonic() - began > 0.4  # some of it may have passed before it was asked
        assert next_one.write(b"a", old) == 409
        assert next_one.write(b"b", new) == 204


def test_progress_of_the_holder_resets_the_wait(daemon: RunningDaemon) -> None:
    with program(daemon) as holder, program(daemon) as other, ThreadPoolExecutor(1) as pool:
        fence = holder.lock()
        waiting = pool.submit(other.lock, 1500)
        with Operator(daemon) as operator:
            until_waiting(operator, 1)
        for number in range(8):  # longer in all than the other waits
            assert holder.write(b"%d" % number, fence) == 204
            time.sleep(0.25)
        assert not waiting.done()
        assert holder.release(fence) == 204
        assert other.write(b"next", waiting.result(10)) == 204


def test_waiters_are_served_in_order_and_one_that_hangs_up_is_left_out(
    daemon: RunningDaemon,
) -> None:
    order = list[int]()
    with program(daemon) as holder, Operator(daemon) as operator:
        fence = holder.lock()

        def wait(number: int) -> None:
            with program(daemon) as one:
                own = one.lock(60_000)
                order.append(number)
                one.release(own)

        with ThreadPoolExecutor(20) as pool:
            for number in range(20):
                pool.submit(wait, number)
                until_waiting(operator, number + 1)
                if number == 9:
                    impatient = hanging(daemon)
                    until_waiting(operator, 11)
                    impatient.close()
                    until_waiting(operator, 10)
            assert holder.release(fence) == 204
    assert order == [*range(20)]


def hanging(daemon: RunningDaemon, context: str = CONTEXT, name: str = "oauth") -> socket.socket:
    """Return a connection on which a lock was asked for, and its answer is not read."""
    query = httpx.QueryParams({"context": context, "name": name})
    body = b'{"wait_ms": 60000}'
    head = f"POST {LOCK}?{query} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    peer = socket.socket(socket.AF_UNIX)
    peer.connect(control_of(daemon))
    peer.sendall(head.encode() + body)
    return peer


def test_hundreds_who_wait_are_refused_beyond_a_number_and_nobody_is_slower(
    daemon: RunningDaemon,
) -> None:
    with program(daemon) as one, Operator(daemon) as operator:
        fence = one.lock()
        crowd = [hanging(daemon) for _ in range(300)]
        try:
            until_waiting(operator, 64)
            refused = 0
            for each in crowd[64:]:
                each.settimeout(20)
                refused += each.recv(100).startswith(b"HTTP/1.1 429 ")
            assert refused == 236
            assert one.write(b"still", fence) == 204
            assert one.release(fence) == 204
            crowd[0].settimeout(20)
            assert b'"fence"' in crowd[0].recv(1000) + crowd[0].recv(1000)
        finally:
            for each in crowd:
                each.close()
        until_waiting(operator, 0)


def test_a_peer_that_reads_slowly_keeps_nobody_waiting(daemon: RunningDaemon) -> None:
    with program(daemon) as one:
        value = b"x" * 65_536
        assert one.write(value, one.lock()) == 204
        query = httpx.QueryParams(one.at)
        ask = f"GET {TOKEN}?{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        slow = socket.socket(socket.AF_UNIX)
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        slow.connect(control_of(daemon))
        with slow:
            slow.settimeout(20)
            for _ in range(3):
                slow.sendall(ask)
            for _ in range(20):
                assert one.read() == value
            found = b""
            while found.count(b"x") < 3 * len(value):
                found += slow.recv(1000)


@pytest.mark.needs("curl")
def test_curl_can_do_it_all(daemon: RunningDaemon) -> None:
    at = httpx.QueryParams({"context": CONTEXT, "name": "oauth"})

    def ask(path: str, *more: str) -> str:
        command = ["curl", "-sS", "--fail", "--unix-socket", control_of(daemon), *more]
        url = f"http://sessiond{path}?{at}"
        return subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout

    fence = json.loads(ask(LOCK, "-d", '{"wait_ms": 5000}'))["fence"]
    file = daemon.folder / "value"
    file.write_bytes(b"oauthaccesstoken=a\r\n")
    ask(TOKEN, "-T", str(file), "-H", f"Lock: {fence}")
    assert ask(TOKEN) == "oauthaccesstoken=a\n"
    ask(LOCK, "-X", "DELETE", "-H", f"Lock: {fence}")


AS_SOMEBODY = """
    import httpx, json, os, sys
    path, uid, asked = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
    with httpx.Client(transport=httpx.HTTPTransport(uds=path)) as client:
        client.build_request("GET", "http://x", params={"a": "b"}, content="c")  # imports it all
        os.setgroups([]); os.setgid(uid); os.setuid(uid)
        found, fence = [], "1"
        for method, url, query, body in asked:
            answer = client.request(
                method, "http://x" + url, params=query, content=body, headers={"Lock": fence}
            )
            if answer.status_code == 200 and method == "POST":
                fence = str(answer.json()["fence"])
            found.append([answer.status_code, answer.text])
    print(json.dumps(found))
"""


def as_somebody(daemon: RunningDaemon, uid: int, *asked: tuple[str, str, Any, str]) -> list[Any]:
    """Ask as another user, each time with the last fence; return statuses and texts."""
    program = [sys.executable, "-c", textwrap.dedent(AS_SOMEBODY)]
    run = subprocess.run(
        [*program, control_of(daemon), f"{uid}", json.dumps(asked)],
        capture_output=True,
        text=True,
        check=True,
    )
    found: list[Any] = json.loads(run.stdout)
    return found


@pytest.mark.parametrize("shared", [False, True])
def test_a_context_is_whose_who_wrote_it_first_unless_it_is_shared(
    strict_issuer: RunningIssuer, start: Start, shared: bool
) -> None:
    as_root()
    users = f"users = [{NOBODY}, {OTHER}]\nshared = {str(shared).lower()}"
    daemon = start(configuration(strict_issuer, stores=users, listen=f"control_group = {NOBODY}"))
    daemon.folder.chmod(0o755)
    Path(control_of(daemon)).chmod(0o666)  # as if both were in its group
    at = {"context": CONTEXT, "name": "oauth"}
    wait = '{"wait_ms": 0}'
    written = as_somebody(
        daemon,
        NOBODY,
        ("POST", LOCK, at, wait),
        ("PUT", TOKEN, at, "theirs"),
        ("DELETE", LOCK, at, ""),
        ("GET", TOKEN, at, ""),
    )
    assert [each[0] for each in written] == [200, 204, 204, 200]
    others = [
        ("GET", TOKEN, at, ""),
        ("POST", LOCK, at, wait),
        ("PUT", TOKEN, at, "mine"),
        ("DELETE", LOCK, at, ""),
    ]
    for uid in (OTHER, 0):
        found = as_somebody(daemon, uid, *others)
        expected = [200, 200, 204, 204] if shared else [403] * 4
        assert [each[0] for each in found] == expected
    stranger = as_somebody(daemon, 65532, *others, ("GET", "/v1/status", {}, ""))
    assert [each[0] for each in stranger] == [403] * 5
    assert "is not among stores.users" in stranger[0][1]
    looked = as_somebody(
        daemon,
        NOBODY,
        *(("GET", url, {}, "") for url in ("/v1/stores", "/v1/sessions", "/metrics")),
    )
    assert [each[0] for each in looked] == [403] * 3  # who keeps tokens here is no reader


def test_without_the_table_nothing_is_there_and_a_reload_switches_it_on_and_off(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(configuration(strict_issuer))
    with program(daemon) as one, Operator(daemon) as operator:
        assert one.http.get(TOKEN, params=one.at).status_code == 404
        assert operator.get("/v1/status")["stores"] is None
        for stores, status in ((STORES, 200), ({}, 404)):
            write(daemon, configuration(strict_issuer, **stores))
            answer = operator.ask("POST", "/v1/reload", json={})
            assert answer.json()["applied"], answer.text
            assert one.ask_lock(250).status_code == status


def test_a_source_s_token_is_read_in_the_words_of_drivers_by_its_readers_alone(
    strict_issuer: RunningIssuer, start: Start, folder: Path
) -> None:
    as_root()
    daemon = start(
        with_sources(
            strict_issuer,
            folder,
            source(readers=[NOBODY]),
            source("other", readers=[]),
            listen=f"control_group = {NOBODY}",
            stores=f"users = [{OTHER}]",
        )
    )
    daemon.folder.chmod(0o755)
    Path(control_of(daemon)).chmod(0o666)
    at = {"context": "source:quotes", "name": "oauth"}
    elsewhere = [{**at, "context": each} for each in ("source:other", "source:none", "source:")]
    asked = [
        ("GET", TOKEN, at, ""),
        ("GET", TOKEN, {**at, "name": "credentials"}, ""),
        *(("GET", TOKEN, each, "") for each in elsewhere),
        ("GET", TOKEN, {**at, "context": "another"}, ""),
        ("POST", LOCK, at, '{"wait_ms": 0}'),
        ("PUT", TOKEN, at, "x"),
    ]
    before = time.time()
    found = as_somebody(daemon, NOBODY, *asked)
    assert [each[0] for each in found] == [200, 404, 403, 404, 404, 403, 403, 403]
    lines = dict(line.split("=", 1) for line in found[0][1].splitlines())
    assert list(lines) == ["oauthaccesstoken", "oauthexpiresin", "oauthtokentimestamp"]
    canary.remember(lines["oauthaccesstoken"], "source token")
    assert before - 1 < int(lines["oauthtokentimestamp"]) / 1000 < time.time() + 1
    assert 0 < int(lines["oauthexpiresin"]) <= 86_400
    with Operator(daemon) as operator:
        same = operator.get("/v1/sources/quotes/token")
        assert same["token"] == lines["oauthaccesstoken"]
    found = as_somebody(daemon, OTHER, *asked)
    assert [each[0] for each in found] == [403, 403, 403, 403, 403, 404, 403, 403]
    assert "read only" in found[-1][1]
