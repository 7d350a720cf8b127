"""Tokens of data sources in q, and the example that reads an HTTPS source with one."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from sessiond.qipc import (
    NULL_TIMESTAMP,
    Dictionary,
    QError,
    Value,
    boolean,
    call,
    dictionary,
    guid_of,
    int_,
    mapping,
    string,
    symbol,
    text,
    timestamp,
)
from tests.q.conftest import Start
from tests.q.interpreter import HOOK, Client, Interpreter
from tests.q.quote_source import QuoteSource, quote_source
from tests.q.scripted import EXPIRES, Arguments, ScriptedDaemon
from tests.web.authority import Authority

pytestmark = pytest.mark.needs("q")

LOGIN = "bearer:an-opaque-access-token"
TOKEN = "a-token-for-the-source"
OWN = "alices-own-token"


def given(token: str = TOKEN) -> Dictionary:
    """Return the answer of `token` that gives one."""
    return answer(boolean(True), string(token), timestamp(EXPIRES), symbol(""))


def answering(token: str, _: Arguments) -> Value:
    return given(token)


def withheld(reason: str) -> Dictionary:
    return answer(boolean(False), string(""), NULL_TIMESTAMP, symbol(reason))


def answer(ok: Value, token: Value, expires: Value, reason: Value) -> Dictionary:
    return dictionary(
        {"ok": ok, "token": token, "type": string("Bearer"), "expires": expires, "reason": reason}
    )


@pytest.fixture
def daemon(daemon: ScriptedDaemon) -> ScriptedDaemon:
    """The same, that gives tokens."""
    daemon.answers["token"] = lambda _: given()
    return daemon


@pytest.fixture
def q(start_q: Start, daemon: ScriptedDaemon) -> Interpreter:
    """q with the hook, connected."""
    q = start_q(port=daemon.port)
    q.wait_until(".sessiond.ready[]")
    return q


def tried(q: Interpreter, expression: str) -> str:
    """Return what an expression is, or the text of its error, as q shows a string."""
    return q.evaluate(f"@[{{[x] {expression}}};0;{{[e] e}}]")


def entered(q: Interpreter, user: str) -> Client:
    client = q.login(user, LOGIN)
    assert client is not None
    q.wait_until("all exec open from .sessiond.sessions")
    return client


def handle_of(q: Interpreter, user: str) -> int:
    shown = q.evaluate(f"first exec handle from .sessiond.sessions where user=`{user}")
    return int(shown.strip("i"))


@pytest.mark.parametrize("name", ['"market-data"', '`$"market-data"'])
def test_a_token_is_asked_for_by_the_sources_name_each_time(
    q: Interpreter, daemon: ScriptedDaemon, name: str
) -> None:
    for token in ("one", "two"):
        daemon.answers["token"] = partial(answering, token)
        assert tried(q, f".sessiond.token {name}") == f'"{token}"'
        (asked,) = daemon.next_call("token")
        assert {key: text(value) for key, value in mapping(asked).items()} == {
            "name": "market-data"
        }


def test_a_token_on_behalf_of_a_user_is_asked_for_with_his_session(
    q: Interpreter, daemon: ScriptedDaemon
) -> None:
    entered(q, "alice")
    assert tried(q, f'.sessiond.tokenof[{handle_of(q, "alice")};"files"]') == f'"{TOKEN}"'
    (asked,) = daemon.next_call("token")
    assert text(mapping(asked)["name"]) == "files"
    assert guid_of(mapping(asked)["session"]) == daemon.sessions["alice"]


@pytest.mark.parametrize("reason", ["notallowed", "refused", "unavailable", "throttled"])
def test_a_token_that_is_refused_is_an_error_that_ends_with_the_reason(
    q: Interpreter, daemon: ScriptedDaemon, reason: str
) -> None:
    daemon.answers["token"] = lambda _: withheld(reason)
    assert tried(q, ".sessiond.token `feeds") == f'"sessiond: no token of feeds: {reason}"'
    entered(q, "alice")
    asked = f".sessiond.tokenof[{handle_of(q, 'alice')};`feeds]"
    assert tried(q, asked) == f'"sessiond: no token of feeds: {reason}"'


def test_without_the_daemon_or_a_session_there_is_no_token(
    q: Interpreter, daemon: ScriptedDaemon
) -> None:
    assert tried(q, ".sessiond.tokenof[99;`files]") == '"sessiond: no token of files: nosession"'
    assert tried(q, ".sessiond.token 1") == '"sessiond: a source must be a symbol or a string"'
    assert "token" not in daemon.names()
    daemon.stop()
    q.wait_until("not .sessiond.ready[]")
    assert tried(q, ".sessiond.token `feeds") == '"sessiond: no token of feeds: unavailable"'


def test_a_user_who_may_ask_asks_on_behalf_of_himself_alone(q: Interpreter) -> None:
    alice, _ = entered(q, "alice"), entered(q, "bob")
    bobs = handle_of(q, "bob")
    refused = alice.ask(call(".sessiond.tokenof", int_(bobs), symbol("files")))
    assert refused == QError("sessiond: no token of files: notallowed")
    own = alice.ask(call(".sessiond.tokenof", int_(handle_of(q, "alice")), symbol("files")))
    assert own == string(TOKEN)


def test_no_token_is_kept_or_logged(q: Interpreter) -> None:
    tried(q, ".sessiond.token `feeds")
    assert TOKEN not in q.logged
    held = "0<count (raze .Q.s1 each value `.sessiond) ss "
    assert q.evaluate(f'{held}"{TOKEN}"') == "0b"
    assert q.evaluate(f'{held}"token of "') == "1b"  # so that we look in the right place


# ---- the example ----


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest.fixture
def source(authority: Authority) -> Iterator[QuoteSource]:
    """A source that takes the daemon's token."""
    with quote_source(authority) as running:
        running.takes = {TOKEN, OWN}.__contains__
        yield running


@pytest.fixture
def feed(
    start_q: Start,
    daemon: ScriptedDaemon,
    source: QuoteSource,
    authority: Authority,
    tmp_path: Path,
) -> Interpreter:
    """The example, loaded after the hook, and its source."""
    q = start_q(
        "",
        f'.quotes.server:`$":{source.base}"\n\\l {HOOK}/quotes.q',
        port=daemon.port,
        environment={"KX_SSL_CA_CERT_FILE": str(authority.written(tmp_path))},
    )
    q.wait_until(".sessiond.ready[]")
    return q


@pytest.mark.parametrize("is_chunked", [False, True])
def test_the_example_reads_rows_of_an_https_source(
    feed: Interpreter, source: QuoteSource, is_chunked: bool
) -> None:
    source.is_chunked = is_chunked
    feed.run("t:.quotes.fetch[];")
    assert feed.evaluate("t`sym") == '("VOD";"BP")'
    assert feed.evaluate("t`bid") == "70.5 401"
    assert source.asked == [("/v1/quotes", f"Bearer {TOKEN}")]


def test_the_example_asks_on_behalf_of_the_user_who_calls_it(
    feed: Interpreter, source: QuoteSource, daemon: ScriptedDaemon
) -> None:
    daemon.answers["token"] = lambda arguments: given(
        OWN if "session" in mapping(arguments[0]) else TOKEN
    )
    alice = entered(feed, "alice")
    feed.run("quotes:{[x] count .quotes.fetchfor .z.w};")
    alice.ask(call("quotes", string("now")))
    assert source.asked == [("/v1/quotes", f"Bearer {OWN}")]


def test_what_the_example_says_of_a_failure_has_no_token_in_it(
    feed: Interpreter, source: QuoteSource, daemon: ScriptedDaemon
) -> None:
    source.takes = lambda _: False
    refused = '"quotes: the source says HTTP/1.1 401 Unauthorized"'
    assert tried(feed, ".quotes.fetch[]") == refused
    daemon.answers["token"] = lambda _: withheld("throttled")
    throttled = '"sessiond: no token of market-data: throttled"'
    assert tried(feed, ".quotes.fetch[]") == throttled
    feed.run(".quotes.ask:{[token] 'token};")
    daemon.answers["token"] = lambda _: given()
    assert "is not shown" in tried(feed, ".quotes.fetch[]")
    assert TOKEN not in feed.said


def test_the_example_sends_no_token_to_a_server_that_another_authority_vouches_for(
    start_q: Start, daemon: ScriptedDaemon, source: QuoteSource, tmp_path: Path
) -> None:
    q = start_q(
        "",
        f'.quotes.server:`$":{source.base}"\n\\l {HOOK}/quotes.q',
        port=daemon.port,
        environment={"KX_SSL_CA_CERT_FILE": str(Authority().written(tmp_path))},
    )
    q.wait_until(".sessiond.ready[]")
    assert tried(q, ".quotes.fetch[]") == '"quotes: conn"'
    assert source.asked == []
