"""Where a browser comes back to: one answer is taken, and whoever else comes changes nothing."""

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest

from sessiond.core.errors import SessiondError
from sessiond.ctl.coming_back import HOST, ComingBack

WITHIN = 20.0  # seconds


class Waiting:
    def __init__(self, server: ComingBack, over: "Future[bool]", http: httpx.Client) -> None:
        self.uri = server.redirect_uri
        self.over = over
        self._http = http

    def visit(self, path: str = "", **headers: str) -> httpx.Response:
        return self._http.get(self.uri + path, headers=headers)


@contextmanager
def waiting(taken: list[Mapping[str, str]]) -> Iterator[Waiting]:
    def take(params: Mapping[str, str]) -> bool | None:
        taken.append(params)
        return {"yes": True, "no": False}.get(params.get("code", ""))

    with (
        ComingBack() as server,
        httpx.Client(trust_env=False) as http,
        ThreadPoolExecutor(1) as threads,
    ):
        yield Waiting(server, threads.submit(server.wait, take, seconds=WITHIN), http)


@pytest.mark.parametrize(
    ("code", "text"), [("yes", "Signed in."), ("no", "The sign-in did not work out.")]
)
def test_the_answer_is_taken_once_and_the_page_says_what_came_of_it(code: str, text: str) -> None:
    taken = list[Mapping[str, str]]()
    with waiting(taken) as q:
        page = q.visit(f"?code={code}&state=s")
        assert page.text.startswith(text)
        assert page.headers["cache-control"] == "no-store"
        assert q.over.result()
    assert taken == [{"code": code, "state": "s"}]


def test_whoever_else_comes_is_shown_a_page_and_changes_nothing() -> None:
    taken = list[Mapping[str, str]]()
    with waiting(taken) as q:
        assert q.visit("other?code=yes").status_code == 404
        assert q.visit("?code=yes", host="evil.example.com").status_code == 404  # DNS rebinding
        assert q.visit("?code=yes&code=yes").status_code == 404
        assert q.visit("?" + "&".join(f"a{n}=1" for n in range(40))).status_code == 404
        assert taken == []
        assert q.visit("?code=perhaps").text.startswith("This is not the answer")
        q.visit("?code=yes")
        assert q.over.result()


def test_nobody_is_waited_for_in_vain() -> None:
    with ComingBack() as server:
        assert not server.wait(lambda _: True, seconds=0.01)


def test_a_port_may_be_named_and_is_nobody_elses() -> None:
    with ComingBack() as server:
        port = int(server.redirect_uri.removeprefix(f"http://{HOST}:").removesuffix("/"))
        with pytest.raises(OSError, match="in use"):
            ComingBack(port)


def test_what_keeps_the_answer_from_being_handed_on_ends_the_waiting() -> None:
    def take(_: Mapping[str, str]) -> bool | None:
        raise SessiondError("the daemon went away")

    with ComingBack() as server, ThreadPoolExecutor(1) as threads:
        over = threads.submit(server.wait, take, seconds=WITHIN)
        page = httpx.get(f"{server.redirect_uri}?code=yes", trust_env=False)
        assert page.text.startswith("The sign-in did not work out.")
        with pytest.raises(SessiondError, match="went away"):
            over.result()
