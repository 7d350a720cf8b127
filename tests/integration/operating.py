"""The control socket as an operator's program sees it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Queue
from typing import Any, Self

import httpx

from sessiond.ctl.client import Told, told
from tests.running_daemon import RunningDaemon

PATIENCE = 20.0  # seconds that a test waits for an answer before it fails


def control_of(daemon: RunningDaemon) -> str:
    return f"{daemon.folder}/c"


class Operator:
    """Asks, and keeps every answer, to be searched for what must not be in any."""

    def __init__(self, daemon: RunningDaemon) -> None:
        self.http = httpx.Client(
            transport=httpx.HTTPTransport(uds=control_of(daemon)),
            base_url="http://sessiond",
            timeout=PATIENCE,
        )
        self.texts: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def ask(self, method: str, path: str, **content: Any) -> httpx.Response:
        response = self.http.request(method, path, **content)
        self.texts.append(response.text)
        return response

    def get(self, path: str, **query: Any) -> Any:
        response = self.ask("GET", path, params=query)
        assert response.status_code == 200, response.text
        return response.json()

    def revoke(self, **what: Any) -> dict[str, Any]:
        response = self.ask("POST", "/v1/revocations", json={"reason": "a test", **what})
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    def explain(self, user: str, password: str) -> dict[str, Any]:
        response = self.ask("POST", "/v1/explain", json={"user": user, "password": password})
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found


class Watching:
    """An event stream, read by a thread of its own until it ends."""

    def __init__(self, http: httpx.Client, headers: dict[str, str], query: dict[str, Any]) -> None:
        self._told: Queue[Told | None] = Queue()
        self._open = threading.Event()
        self._args = (http, headers, query)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        assert self._open.wait(PATIENCE)

    def next(self) -> Told:
        """Wait for the next event or place."""
        found = self._told.get(timeout=PATIENCE)
        assert found is not None, "the stream has ended"
        return found

    def until(self, kind: str) -> list[dict[str, Any]]:
        """Return the events up to one of a kind."""
        events: list[dict[str, Any]] = []
        while not events or events[-1]["kind"] != kind:
            found = self.next()
            if found.kind:
                events.append(json.loads(found.data))
                assert (events[-1]["sequence"], events[-1]["kind"]) == (found.id, found.kind)
        return events

    def is_over(self) -> bool:
        """Wait for the end, and say whether it was a clean one."""
        while self._told.get(timeout=PATIENCE) is not None:
            pass
        self._thread.join(PATIENCE)
        return self._clean

    _clean = False

    def _read(self) -> None:
        http, headers, query = self._args
        try:
            with http.stream("GET", "/v1/events", headers=headers, params=query) as response:
                self._open.set()
                for each in told(response.iter_lines()):
                    self._told.put(each)
            self._clean = True
        except httpx.TransportError:
            pass
        finally:
            self._told.put(None)


@contextmanager
def watching(daemon: RunningDaemon, *, last: int | None = None, **query: Any) -> Iterator[Watching]:
    """Follow the events on a connection of its own."""
    with Operator(daemon) as operator:
        headers = {} if last is None else {"last-event-id": str(last)}
        yield Watching(operator.http, headers, query)
