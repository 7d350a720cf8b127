"""The played HTTPS server does what q's does, by the callbacks of a real interpreter."""

import ssl
from collections.abc import Iterator

import httpx
import pytest

from tests.q.conftest import Start
from tests.q.interpreted import Interpreted
from tests.q.interpreter import Interpreter
from tests.q.web_stage import SERVER
from tests.q.websocket_client import WebsocketClient
from tests.web.authority import Authority
from tests.web.https_server import HttpsServer, https_server

pytestmark = [pytest.mark.needs("q")]

CALLBACKS = """
.z.ac:{[x] .test.w:.z.w; .test.ac:x; .test.answer}
.z.ph:{[x] .test.ph:(.z.w;x 0); .h.hy[`htm;"page of ",x 0]}
.z.pp:{[x] .h.hy[`txt;"posted ",x 0]}
.z.pw:{[u;p] (u=`plain)&p~"pw"}
.z.wo:{[h] .test.wo:h}
.z.ws:{[x] neg[.z.w] $[10h=type x;"heard ",x;reverse x]}
.z.wc:{[h] .test.wc:h}
.test.answer:(1;"alice"); .test.wo:.test.wc:0Ni
"""
NEVER = ".z.po:.z.pc:{[h] .test.called:h}\n"


class Web:
    """The server, the interpreter behind it, and one client that trusts its authority."""

    def __init__(self, server: HttpsServer, q: Interpreter, trust: ssl.SSLContext) -> None:
        self.q, self.server, self.trust = q, server, trust
        self.http = httpx.Client(verify=trust, base_url=server.base, trust_env=False)

    def websocket(self) -> WebsocketClient:
        return WebsocketClient("localhost", self.server.port, self.trust)


@pytest.fixture
def web(start_q: Start) -> Iterator[Web]:
    authority = Authority()
    with https_server("localhost", authority.serving) as server:
        q = start_q(NEVER, CALLBACKS + f"\\l {SERVER}")
        server.serve(Interpreted(q.port))
        web = Web(server, q, authority.trusting)
        with web.http:
            yield web


def test_a_request_that_is_let_in_gets_the_page(web: Web) -> None:
    answer = web.http.get("/a/page?with=query", headers={"X-Kept": "kept"})
    assert answer.text == "page of a/page?with=query"
    assert web.q.evaluate(".test.ac 0") == '"a/page?with=query"'
    assert web.q.evaluate('.test.ac[1]`$"X-Kept"') == '"kept"'
    assert web.server.targets == ["/a/page?with=query"]


def test_what_is_posted_goes_to_the_callback_for_it(web: Web) -> None:
    assert web.http.post("/form", content="x=1").text == "posted x=1"


def test_a_request_that_is_refused_is_asked_for_a_name_and_a_password(web: Web) -> None:
    web.q.run('.test.answer:(0;"")')
    answer = web.http.get("/")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic")


def test_a_response_of_the_hook_goes_out_as_it_is(web: Web) -> None:
    raw = r'"HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n"'
    web.q.run(f".test.answer:(2;{raw})")
    answer = web.http.get("/")
    assert (answer.status_code, answer.headers["location"]) == (302, "/other")


@pytest.mark.parametrize("undefine", ["", "delete ac from `.z;"])
def test_a_name_and_a_password_are_judged_by_the_callback_for_them(web: Web, undefine: str) -> None:
    web.q.run('.test.answer:(4;"");' + undefine)
    assert web.http.get("/").status_code == 401
    assert web.http.get("/", auth=("plain", "wrong")).status_code == 401
    assert web.http.get("/", auth=("plain", "pw")).text == "page of "


def test_an_error_in_a_page_is_told(web: Web) -> None:
    web.q.run(".z.ph:{'oops}")
    answer = web.http.get("/")
    assert (answer.status_code, answer.text) == (400, "'oops")


def test_requests_of_one_connection_have_one_handle_that_is_no_kdb_clients(web: Web) -> None:
    web.q.run('.z.ph:{[x] .test.ph:(.z.w;x 0); ssr[.h.hy[`htm;"page"];"close";"keep-alive"]}')
    web.http.get("/first")
    handle = web.q.evaluate(".test.w")
    web.http.get("/second")
    assert web.q.evaluate(".test.ph") == f'({handle};"second")'
    assert web.q.evaluate(".test.w") == handle
    assert web.q.evaluate(f"{handle} in key .z.W") == "1b"
    web.http.close()
    web.q.wait_until(f"not {handle} in key .z.W")
    assert web.q.evaluate("`called in key .test") == "0b"


def test_a_websocket_talks_with_its_callbacks_until_it_is_closed_there(web: Web) -> None:
    with web.websocket() as socket:
        web.q.wait_until(".test.wo=.test.w")
        assert socket.ask("hello") == "heard hello"
        assert socket.ask(b"\x01\x02") == b"\x02\x01"
    web.q.wait_until(".test.wc~.test.wo")


def test_a_handle_that_q_closes_is_closed_for_the_browser(web: Web) -> None:
    with web.websocket() as socket:
        web.q.wait_until("not null .test.wo")
        web.q.run("hclose .test.wo")
        assert socket.is_closed()
    assert web.q.evaluate("null .test.wc") == "1b"


def test_a_websocket_that_is_refused_is_none(web: Web) -> None:
    web.q.run('.test.answer:(0;"")')
    with pytest.raises(ConnectionRefusedError), web.websocket():
        pass
