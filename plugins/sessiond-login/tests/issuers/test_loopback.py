"""Where the browser comes back to, and whoever else does."""

import errno
import socket
from collections.abc import Iterator
from contextlib import suppress
from threading import Thread
from typing import Any

import h11
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sessiond_login.errors import NotSignedIn, ProfileRefused
from sessiond_login.issuers import pages
from sessiond_login.issuers.loopback import MAX_CONNECTIONS, Loopback, Visit, _Connection
from walking import Hasty

STATE = "the-right-state"


class Server:
    """A loopback that waits in a thread for one answer, and shows it a page."""

    def __init__(self, *uris: str, wait: float = 30.0) -> None:
        self.clock = Hasty()
        self.loopback = Loopback(uris or ("http://localhost",), clock=self.clock, wait=wait)
        self.uri = self.loopback.redirect_uri
        self.taken: list[Visit] = []
        self.failed: list[Exception] = []
        self._thread = Thread(target=self._serve, daemon=True)
        self._thread.start()
        self.http = httpx.Client(trust_env=False, timeout=10.0)

    def _serve(self) -> None:
        with self.loopback:
            try:
                visit = self.loopback.answer(STATE)
            except NotSignedIn as error:
                self.failed.append(error)
                return
            self.taken.append(visit)
            self.loopback.show_last(visit, pages.signed_in("alice", "login.example"))

    def get(self, query: str = "", **keys: object) -> httpx.Response:
        return self.http.get(self.uri + query, **keys)  # type: ignore[arg-type]

    def good(self) -> httpx.Response:
        """Come back with the right answer, and follow to the last page."""
        return self.get(f"?code=c&state={STATE}", follow_redirects=True)

    def end(self) -> None:
        self._thread.join(20.0)
        assert not self._thread.is_alive()
        self.http.close()


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    if not running.taken:
        running.good()
    running.end()


def port_of(uri: str) -> int:
    return httpx.URL(uri).port or 0


def test_the_right_answer_is_taken_and_the_tab_ends_at_an_address_without_it(
    server: Server,
) -> None:
    page = server.good()
    assert page.status_code == 200
    assert "Signed in" in page.text
    assert "alice" in page.text
    assert not page.url.query
    assert [sent.status_code for sent in page.history] == [303]
    assert server.taken[0].params == {"code": "c", "state": STATE}


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?code=c",
        "?code=c&state=",
        "?code=c&state=wrong",
        "?code=c&state=%C3%BC",
        f"?code=c&state={STATE}&state={STATE}",
        f"?code=c&code=d&state={STATE}",
        "?" + "&".join(f"a{number}=1" for number in range(40)),
    ],
)
def test_any_other_answer_is_refused_and_does_not_end_the_real_one(
    server: Server, query: str
) -> None:
    page = server.get(query)
    assert page.status_code == 400
    assert "Not this sign-in" in page.text
    assert server.taken == []
    assert server.good().status_code == 200


def test_only_a_get_of_the_one_path_under_its_own_name_is_an_answer(server: Server) -> None:
    query = f"?code=c&state={STATE}"
    other_name = f"127.0.0.1:{port_of(server.uri)}"
    assert server.http.post(server.uri + query).status_code == 405
    assert server.http.head(server.uri + query).status_code == 405
    assert server.get("/favicon.ico").status_code == 404
    assert server.get(f"/elsewhere{query}").status_code == 404
    assert server.get(query, headers={"host": "attacker.example"}).status_code == 400
    assert server.get(query, headers={"host": other_name}).status_code == 400
    assert server.taken == []


def test_every_page_is_kept_out_of_caches_and_runs_nothing(server: Server) -> None:
    for page in (server.get("?state=wrong"), server.good()):
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["referrer-policy"] == "no-referrer"
        assert page.headers["content-security-policy"].startswith("default-src 'none'; ")
        assert page.headers["x-content-type-options"] == "nosniff"


def test_what_is_no_http_is_dropped(server: Server) -> None:
    for sent in (b"\x16\x03\x01\x02\x00\x01", b"GET /" + b"a" * 40_000, b"GET / HTTP/1.1\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", port_of(server.uri))) as other:
            other.settimeout(10.0)
            other.sendall(sent)
            with suppress(ConnectionResetError):
                assert other.recv(100) == b""


@pytest.mark.parametrize(
    "target",
    ["//[", "http://[/", "*", "?", "//", "/%", "/?%FF=%FF&state=%00", "http://x/?state=" + STATE],
)
def test_no_request_however_odd_ends_the_wait(server: Server, target: str) -> None:
    host = httpx.URL(server.uri).netloc.decode()
    with socket.create_connection(("127.0.0.1", port_of(server.uri))) as other:
        other.settimeout(10.0)
        other.sendall(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert other.recv(12) in (b"HTTP/1.1 400", b"HTTP/1.1 404")
    assert server.taken == []
    assert server.good().status_code == 200


@given(st.binary(min_size=1, max_size=200))
def test_any_bytes_are_a_visit_or_no_request(sent: bytes) -> None:
    http = h11.Connection(h11.SERVER)
    http.receive_data(b"GET /" + sent + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    with suppress(h11.RemoteProtocolError):
        event = http.next_event()
        if isinstance(event, h11.Request):
            one, other = socket.socketpair()
            with one, other:
                visit = Visit.of(_Connection(one, since=0.0), event)
            assert visit.path.startswith("/")


def test_connections_held_open_keep_nobody_out(server: Server) -> None:
    held = [socket.create_connection(("127.0.0.1", port_of(server.uri))) for _ in range(200)]
    for each in held[::2]:
        each.sendall(b"GET /?st")  # and no more
    host = {"host": httpx.URL(server.uri).netloc.decode()}
    last = server.http.get(server.uri.replace("localhost", "127.0.0.1"), headers=host)
    assert last.status_code == 400  # it was let in after all of them
    assert len(server.loopback._open) <= MAX_CONNECTIONS  # noqa: SLF001
    assert server.good().status_code == 200
    for each in held:
        each.close()


def test_a_flood_of_wrong_states_keeps_nobody_out(server: Server) -> None:
    for number in range(300):
        assert server.get(f"?code=c&state=guess{number}").status_code == 400
    assert server.good().status_code == 200


def test_who_asks_for_nothing_is_let_go(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", port_of(server.uri))) as silent:
        server.get()  # so it has been accepted
        server.clock.sleep(11)
        silent.settimeout(10.0)
        assert silent.recv(1) == b""


def test_nobody_is_waited_for_longer_than_agreed() -> None:
    server = Server(wait=180.0)
    server.clock.sleep(181)
    server.end()
    assert [str(error) for error in server.failed] == [
        "nobody signed in within 180 s: sign in again, and finish in the browser; where "
        "that shows an error of the issuer's own, see the profile's client_id and redirect_uris"
    ]


def test_it_listens_on_loopback_alone_and_for_both_of_its_families(server: Server) -> None:
    listening = [key.fileobj for key in server.loopback._selector.get_map().values()]  # noqa: SLF001
    hosts = [each.getsockname()[0] for each in listening if isinstance(each, socket.socket)]
    assert hosts in (["127.0.0.1", "::1"], ["127.0.0.1"])


def test_an_address_is_taken_as_the_profile_writes_it() -> None:
    for uri in ("http://127.0.0.1/cb", "http://localhost/a/b", "http://127.0.0.1"):
        server = Server(uri)
        base, _, path = uri.removeprefix("http://").partition("/")
        assert server.uri == f"http://{base}:{port_of(server.uri)}" + (f"/{path}" if path else "")
        assert server.good().status_code == 200
        server.end()


def test_a_port_that_is_taken_leads_to_the_next_redirect_uri() -> None:
    with socket.socket() as other, socket.socket() as spare:
        other.bind(("127.0.0.1", 0))
        other.listen()
        spare.bind(("127.0.0.1", 0))
        free = spare.getsockname()[1]
        spare.close()
        taken = f"http://localhost:{other.getsockname()[1]}/callback"
        server = Server(taken, f"http://localhost:{free}/callback")
        assert port_of(server.uri) == free
        server.good()
        server.end()
        with pytest.raises(NotSignedIn, match="no port is free for http://localhost:"):
            Loopback((taken,), clock=Hasty(), wait=1.0)


@pytest.mark.parametrize(
    ("fault", "hosts"), [(errno.EAFNOSUPPORT, ["127.0.0.1"]), (errno.EADDRINUSE, None)]
)
def test_the_second_family_may_be_missing_but_not_somebody_elses(
    monkeypatch: pytest.MonkeyPatch, fault: int, hosts: list[str] | None
) -> None:
    class OnlyFour(socket.socket):
        def bind(self, address: Any) -> None:
            if self.family == socket.AF_INET6:
                raise OSError(fault, "steered")
            super().bind(address)

    monkeypatch.setattr(socket, "socket", OnlyFour)
    if hosts is None:
        with pytest.raises(NotSignedIn, match="no port is free"):
            Loopback(("http://localhost",), clock=Hasty(), wait=1.0)
        return
    with Loopback(("http://localhost",), clock=Hasty(), wait=1.0) as loopback:
        port = port_of(loopback.redirect_uri)
        with socket.create_connection(("127.0.0.1", port)):
            pass


def test_the_same_port_serves_one_sign_in_after_another() -> None:
    first = Server()
    first.good()
    first.end()
    again = Server(first.uri)
    assert again.good().status_code == 200
    again.end()


@pytest.mark.parametrize(
    "uri",
    [
        "https://localhost/cb",
        "http://kdb.example/cb",
        "http://0.0.0.0:8000",
        "http://localhost/cb?a=1",
        "http://localhost/#a",
        "http://me@localhost/",
        "http://localhost:99999/",
        "localhost",
        "http://[::1",
    ],
)
def test_a_redirect_uri_that_leads_elsewhere_is_refused(uri: str) -> None:
    with pytest.raises(ProfileRefused, match="redirect_uris"):
        Loopback((uri,), clock=Hasty(), wait=1.0)


def test_another_user_of_the_computer_ends_no_sign_in_of_this_one(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """He has the address from the browser's arguments, and signs in as himself."""
    with monkeypatch.context() as patch:
        patch.setattr("sessiond_login.issuers.loopback.is_strangers", lambda _: True)
        shown = server.get(f"?code=c&state={STATE}")
    assert (shown.status_code, "Not your sign-in" in shown.text) == (403, True)
    assert server.taken == []
    assert "Signed in" in server.good().text


def test_whose_a_visit_is_is_looked_up_only_where_its_state_is_right(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system's table takes its time, and a flood would have it read each time."""
    asked: list[object] = []
    with monkeypatch.context() as patch:
        patch.setattr("sessiond_login.issuers.loopback.is_strangers", asked.append)
        server.get("?code=c&state=wrong")
        server.get("/elsewhere")
    assert asked == []
