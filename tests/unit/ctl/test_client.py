"""What sessionctl reads, and which exit code an answer or its absence comes to."""

import gc
import os
import socket
from grp import getgrgid
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from sessiond.ctl import client
from sessiond.ctl.client import Client, ControlError, DaemonAwayError, Told, told


def answering(response: httpx.Response) -> Client:
    client = Client("/nowhere")
    client._http = httpx.Client(
        transport=httpx.MockTransport(lambda _: response), base_url="http://sessiond"
    )
    return client


def problem(status: int) -> httpx.Response:
    headers = {"content-type": "application/problem+json"}
    return httpx.Response(status, json={"detail": "this is why"}, headers=headers)


@pytest.mark.parametrize(
    ("status", "code"), [(400, 64), (403, 77), (404, 66), (503, 69), (500, 70), (405, 70)]
)
def test_a_problem_is_told_by_its_detail_and_ends_with_a_code(status: int, code: int) -> None:
    with answering(problem(status)) as client, pytest.raises(ControlError) as raised:
        client.get("/v1/status")
    assert (str(raised.value), raised.value.code) == ("this is why", code)


def test_an_answer_that_is_no_problem_is_told_by_its_number() -> None:
    with answering(httpx.Response(502, text="?")) as client, pytest.raises(ControlError) as raised:
        client.get("/v1/status")
    assert str(raised.value) == "the daemon answered 502"


def test_a_refused_stream_is_a_problem_too() -> None:
    with answering(problem(403)) as client, pytest.raises(ControlError) as raised:
        list(client.events(None))
    assert raised.value.code == os.EX_NOPERM == 77


@pytest.mark.filterwarnings("ignore:unclosed <socket", "ignore:Exception ignored in")
def test_without_a_socket_or_a_listener_the_daemon_is_away(folder: Path) -> None:
    path = folder / "c"
    for _ in range(2):
        with Client(str(path)) as client, pytest.raises(DaemonAwayError) as raised:
            client.get("/v1/status")
        assert raised.value.code == os.EX_UNAVAILABLE == 69
        assert str(path) in str(raised.value)
        del raised
        gc.collect()  # httpcore leaves a socket that could not connect to be collected
        if not path.exists():
            with socket.socket(socket.AF_UNIX) as stale:
                stale.bind(str(path))


def test_not_being_let_in_is_another_code() -> None:
    def refuse(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no") from PermissionError(13, "Permission denied")

    client = Client("/run/c")
    client._http = httpx.Client(transport=httpx.MockTransport(refuse), base_url="http://sessiond")
    with client, pytest.raises(ControlError) as raised:
        client.get("/v1/status")
    assert (str(raised.value), raised.value.code) == (
        f"user {os.geteuid()} may not connect to /run/c\n"
        "run this with sudo, or as a member of listen.control_group",
        77,
    )


@pytest.mark.parametrize("group", [os.getegid(), 3_999_999_999])
def test_who_is_not_let_in_hears_whose_the_socket_is(
    group: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX) as there:
        there.bind(str(folder / "c"))
        monkeypatch.setattr(Path, "stat", lambda _: SimpleNamespace(st_gid=group))
        named = getgrgid(group).gr_name if group == os.getegid() else group
        assert client._not_permitted(str(folder / "c")).endswith(f"as a member of group {named}")


@pytest.mark.filterwarnings("ignore:unclosed <socket", "ignore:Exception ignored in")
@pytest.mark.parametrize("path", ["/nowhere/c", "/etc/passwd/c", "/etc/passwd", "/" + "a" * 200])
def test_an_address_where_no_daemon_is_has_a_next_step_and_no_error_number(path: str) -> None:
    with Client(path) as client, pytest.raises(DaemonAwayError) as raised:
        client.get("/v1/status")
    what, step = str(raised.value).split("\n")
    assert what.startswith(f"no daemon at {path}: ")
    assert "--config FILE" in step
    assert "Errno" not in what
    del raised
    gc.collect()


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (httpx.ReadTimeout("slow"), "did not answer in time\nsee what it is about"),
        (httpx.RemoteProtocolError("cut off"), "went away before it had answered (cut off)\nsee"),
    ],
)
def test_a_daemon_that_does_not_answer_is_looked_into(
    error: httpx.TransportError, told: str
) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise error

    client = Client("/run/c")
    client._http = httpx.Client(transport=httpx.MockTransport(fail), base_url="http://sessiond")
    with client, pytest.raises(DaemonAwayError) as raised:
        client.get("/v1/status")
    assert told in str(raised.value)


def test_parts_of_a_path_are_quoted() -> None:
    asked: list[str] = []

    def note(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.raw_path.decode())
        return httpx.Response(204)

    client = Client("/nowhere")
    client._http = httpx.Client(transport=httpx.MockTransport(note), base_url="http://sessiond")
    with client:
        client.delete("v1", "names", "CORP/al ice?")
    assert asked == ["/v1/names/CORP%2Fal%20ice%3F"]


def test_all_pages_are_fetched() -> None:
    one, two, three = {"handle": 1}, {"handle": 2}, {"handle": 3}
    pages = {"": ([one, two], "b"), "b": ([three], None)}

    def page(request: httpx.Request) -> httpx.Response:
        assert request.url.params["user"] == "alice"
        sessions, following = pages[request.url.params.get("after", "")]
        return httpx.Response(200, json={"sessions": sessions, "next": following})

    client = Client("/nowhere")
    client._http = httpx.Client(transport=httpx.MockTransport(page), base_url="http://sessiond")
    with client:
        assert client.sessions(user="alice") == [one, two, three]


def test_no_more_names_are_fetched_than_wanted() -> None:
    limits: list[str] = []

    def page(request: httpx.Request) -> httpx.Response:
        limit = int(request.url.params["limit"])
        limits.append(str(request.url.params))
        return httpx.Response(200, json={"names": [{"name": "a"}] * limit, "next": "a"})

    client = Client("/nowhere")
    client._http = httpx.Client(transport=httpx.MockTransport(page), base_url="http://sessiond")
    with client:
        assert len(client.names(begin="a", most=1001)) == 1001
    assert limits == ["limit=1000&begin=a", "limit=1&begin=a&after=a"]


def test_events_are_read_with_their_places_and_comments_are_not() -> None:
    lines = [
        "id: 4",
        "",
        ":",
        "",
        "id: 5",
        "event: session.opened",
        'data: {"a": ": b"}',
        "",
        "id:6",
        "event:gap",
        "data:{}",
        "",
        "event: cut off",
    ]
    assert list(told(lines)) == [
        Told(4, "", ""),
        Told(5, "session.opened", '{"a": ": b"}'),
        Told(6, "gap", "{}"),
    ]
