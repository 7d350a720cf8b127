"""The OpenAPI document and the daemon agree, whatever is asked: schemathesis makes the requests.

Every operation is asked in process, by an administrator and by somebody who may do nothing; and
schemathesis itself is run once against a real daemon, through a forwarder from TCP.
"""

import io
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import httpx
import hypothesis
import msgspec
import pytest
import requests
import schemathesis
import urllib3
from hypothesis import given, settings
from requests.adapters import BaseAdapter
from schemathesis import Case, GenerationMode

from sessiond.control import bodies
from sessiond.control.access import Access
from sessiond.control.openapi import document
from sessiond.control.operation import Operation
from sessiond.control.operations import OPERATIONS
from sessiond.control.turns import LONGEST_PAUSE
from sessiond.system.peer import AllowList, Peer
from sessiond.tickets.exchange_request import ExchangeError
from sessiond.tokenstores.settings import StoresSettings
from tests.fakes import idle
from tests.integration.conftest import Start
from tests.integration.operating import control_of
from tests.issuer.running import RunningIssuer
from tests.running_daemon import configuration
from tests.unit.control.test_reloading import File, Outcome
from tests.unit.control.viewing import ADMIN, STRANGER, Viewing, viewing

HERE = "http://sessiond"
EXAMPLES = 25  # of each operation and mode
DESCRIBED = schemathesis.openapi.from_dict(
    msgspec.json.decode(msgspec.json.encode(document(OPERATIONS)))
)
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)

# What no description can say: a body may be too large, an issuer not configured, and an operator's
# words something that cannot be shown; and 1e3 is no integer here.
UNDESCRIBED = (
    "no issuer is configured by this name",
    "reason: there is something ",
    "body: Expected `int`, got `float`",
)
SETTINGS = """
[checks]
negative_data_rejection.expected-statuses = [400, 403, 404, 405, 413, 415]

[[operations]]
include-name = "POST /v1/revocations"
checks.positive_data_acceptance.expected-statuses = ["2xx", 400]

[[operations]]
include-name = "POST /v1/reload"
checks.positive_data_acceptance.expected-statuses = ["2xx", 400]

[[operations]]
include-name = "POST /v1/token"
checks.positive_data_acceptance.expected-statuses = ["2xx", 400, 415]

[[operations]]
include-name-regex = "DELETE /v1/(names|revocations)/.*"
checks.positive_data_acceptance.expected-statuses = ["2xx", 400, 404]
"""

KEYS, TOKEN = "/v1/keys", "/v1/token"  # public keys; and what is refused in OAuth's words
OAUTHS_ERRORS = [each.value for each in ExchangeError]

pytestmark = pytest.mark.heavy

Ask = Callable[[requests.PreparedRequest], requests.Response]


class InProcess(BaseAdapter):
    """Where requests go: to the application on its event loop, and to no socket."""

    def __init__(self, ask: Ask) -> None:
        super().__init__()
        self._ask = ask

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]  # as it is called
        return self._ask(request)

    def close(self) -> None:
        """Keep nothing open."""


@pytest.fixture
def administrator() -> Iterator[requests.Session]:
    yield from _asked_by(ADMIN, Access.of(readers=(), admins=()))


@pytest.fixture
def stranger() -> Iterator[requests.Session]:
    """Somebody whom the configuration does not name, where it names readers."""
    yield from _asked_by(STRANGER, Access.of(readers=(0,), admins=()))


def _asked_by(peer: Peer, access: Access) -> Iterator[requests.Session]:
    @asynccontextmanager
    async def viewed() -> AsyncIterator[Viewing]:
        async with viewing(access=access) as v:
            v.view.reload = File(Outcome(applied=True))
            v.closing.set()  # so that a stream of events ends after its first words
            await v.log_in(1)
            v.peer = peer
            allowed = AllowList.exactly("stores.users", [ADMIN.uid])
            stores = StoresSettings(allowed=allowed)
            v.settings.now = replace(v.settings.now, stores=stores)
            yield v

    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(viewed()) as v,
        requests.Session() as session,
    ):
        session.mount(HERE, InProcess(lambda request: portal.call(_answer, v, request)))
        yield session


async def _answer(v: Viewing, request: requests.PreparedRequest) -> requests.Response:
    answers = list[httpx.Response]()

    async def ask() -> None:
        content, headers = request.body or b"", {**request.headers}
        method, url = str(request.method), str(request.url)
        answers.append(await v.ask(method, url, content=content, headers=headers))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await idle()
        if not answers:  # it waits for a lock that an earlier one has
            for held in [*v.view.stores.locks.states()]:
                v.view.stores.locks.break_all(held.key.context)
            await v.clock.advance(LONGEST_PAUSE)  # or for its turn
    (found,) = answers
    answer = requests.Response()
    answer.status_code = found.status_code
    answer.headers.update(found.headers)
    answer.raw = urllib3.HTTPResponse(
        io.BytesIO(found.content), found.headers, found.status_code, preload_content=False
    )
    answer.request = request
    answer.url = str(request.url)
    return answer


def each_case(
    operation: Operation, mode: GenerationMode, check: Callable[[Case[Any]], object]
) -> None:
    """Check so many requests to this operation, valid or invalid by its description."""
    strategy = DESCRIBED[operation.path][operation.method].as_strategy(generation_mode=mode)

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @given(case=strategy)
    def run(case: Case[Any]) -> None:
        check(case)

    run()


def named(operation: Operation) -> str:
    return f"{operation.method} {operation.path}"


def can_be_wrong(operation: Operation) -> bool:
    """Say whether a request to it can be invalid by the description."""
    return bool(operation.body or operation.query is not bodies.NoQuery or "{" in operation.path)


@pytest.mark.parametrize("operation", OPERATIONS, ids=named)
def test_what_the_description_allows_is_answered_as_it_says(
    administrator: requests.Session, operation: Operation
) -> None:
    def check(case: Case[Any]) -> None:
        response = case.call(base_url=HERE, session=administrator)
        if response.status_code == 400 and operation.path != TOKEN:
            assert response.json()["detail"].startswith(UNDESCRIBED)
            return
        if operation.path == TOKEN and response.status_code in (400, 415):
            told = response.json()  # OAuth's words, or that it is no form at all
            assert told.get("error") in OAUTHS_ERRORS or told["status"] == 415
            return
        case.validate_response(response)

    each_case(operation, GenerationMode.POSITIVE, check)


@pytest.mark.parametrize(
    "operation", [each for each in OPERATIONS if can_be_wrong(each)], ids=named
)
def test_what_the_description_forbids_is_refused_as_it_says(
    administrator: requests.Session, operation: Operation
) -> None:
    def check(case: Case[Any]) -> None:
        response = case.call(base_url=HERE, session=administrator)
        if response.status_code == 413:  # too large to be looked at
            assert operation.body is not None or operation.content is not None
            return
        case.validate_response(response)

    each_case(operation, GenerationMode.NEGATIVE, check)


@pytest.mark.parametrize(
    "operation", [each for each in OPERATIONS if each.path not in (KEYS, TOKEN)], ids=named
)
def test_who_is_not_named_gets_403_whatever_he_asks(
    stranger: requests.Session, operation: Operation
) -> None:
    modes = MODES if can_be_wrong(operation) else MODES[:1]

    def check(case: Case[Any]) -> None:
        response = case.call(base_url=HERE, session=stranger)
        if response.status_code == 404:  # what names nothing may lead to no operation at all
            assert "{" in operation.path
            assert response.json()["detail"].startswith("no such operation")
            return
        assert response.status_code == 403
        assert response.json()["title"] == "Forbidden"

    for mode in modes:
        each_case(operation, mode, check)


def test_the_description_itself_is_for_readers_only(stranger: requests.Session) -> None:
    assert stranger.get(f"{HERE}/openapi.json").status_code == 403


@contextmanager
def forwarded(path: str) -> Iterator[int]:
    """Have a TCP port of this machine whose connections end at a Unix socket."""

    def pass_on(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(65536):
                sink.sendall(piece)
        for each in (source, sink):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def accept() -> None:
        with suppress(OSError):  # closed: the end
            while True:
                near, _ = listener.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(path)
                for ends in ((near, far), (far, near)):
                    passing = threading.Thread(target=pass_on, args=ends, daemon=True)
                    passing.start()
                    threads.append(passing)
                sockets.extend((near, far))

    threads: list[threading.Thread] = []
    sockets: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join()
    for thread in threads:
        thread.join()
    for each in sockets:
        each.close()


def test_schemathesis_finds_nothing_at_a_real_daemon(
    strict_issuer: RunningIssuer, start: Start, tmp_path: Path
) -> None:
    daemon = start(configuration(strict_issuer))
    (tmp_path / "schemathesis.toml").write_text(SETTINGS)
    program = [str(Path(sys.executable).with_name("schemathesis"))]
    with forwarded(control_of(daemon)) as port:
        command = [
            *program,
            *("--config-file", str(tmp_path / "schemathesis.toml"), "run"),
            f"http://127.0.0.1:{port}/openapi.json",
            *("--phases", "fuzzing", "--mode", "all"),
            *("--exclude-path", "/v1/events"),  # it has no end
            *("--max-examples", "10", "--seed", "1", "--continue-on-failure"),
        ]
        found = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            cwd=tmp_path,
            env={**os.environ, "no_proxy": "127.0.0.1"},  # requests' way past a proxy
        )
    assert found.returncode == 0, found.stdout
    assert re.search(r"\b(\d+) generated, \1 passed", found.stdout), found.stdout
