"""What processes may call, how it may arrive, and what is answered with an error."""

from uuid import UUID

import pytest
from hypothesis import given

from sessiond.core.errors import CallError
from sessiond.core.session import ProcessAbout, SessionId
from sessiond.kdb.calls import (
    MAX_FILTER,
    MAX_TEXT,
    Connect,
    Disconnect,
    Follow,
    Hello,
    Opened,
    Reconciliation,
    Renewal,
    Sessions,
    Web,
    read_call,
)
from sessiond.qipc import (
    NIL,
    NULL_GUID,
    NULL_INT,
    Atom,
    Dictionary,
    List,
    Value,
    Vector,
    call,
    dictionary,
    guid,
    int_,
    list_,
    long,
    string,
    symbol,
    symbols,
)
from sessiond.qipc.values import QType
from tests.unit.qipc.strategies import values

NONCE = "0123456789abcdef"
SESSION = SessionId(UUID(int=7))
HELLO: dict[str, Value] = {
    "name": symbol("gw1"),
    "type": string("gateway"),
    "host": symbol("tick.example.com"),
    "pid": int_(4711),
    "nonce": string(NONCE),
}
CONNECT: dict[str, Value] = {
    "user": symbol("alice"),
    "password": string("token"),
    "handle": int_(5),
    "address": int_(0),
}
WEB: dict[str, Value] = {
    "target": string("/page?a"),
    "bearer": string("token"),
    "cookie": string("a=b"),
    "accept": string("text/html"),
    "origin": symbol(""),
    "host": symbol("gw:5007"),
    "address": int_(2130706433),
}
WEB_TEXTS = ("target", "bearer", "cookie", "accept", "origin", "host", "site")
EMPTY = List(())
NO_INTS = Vector(QType.INT, ())
NO_GUIDS = Vector(QType.GUID, ())


def hello(**entries: Value) -> Value:
    return call("hello", dictionary({**HELLO, **entries}))


def connect(**entries: Value) -> Value:
    return call("connect", dictionary({**CONNECT, **entries}))


def web(**entries: Value) -> Value:
    return call("web", dictionary({**WEB, **entries}))


def test_a_hello_says_who_a_process_is() -> None:
    about = ProcessAbout(name="gw1", type="gateway", host="tick.example.com", pid=4711)
    assert read_call(hello()) == Hello(about=about, nonce=NONCE)


def test_text_may_be_a_symbol_a_string_or_a_char_and_integers_int_or_long() -> None:
    said = read_call(
        hello(name=Atom(QType.CHAR, b"q"), type=EMPTY, nonce=symbol(NONCE), pid=long(1))
    )
    assert isinstance(said, Hello)
    assert said == Hello(
        about=ProcessAbout(name="q", type="", host="tick.example.com", pid=1), nonce=NONCE
    )


def test_a_connect_brings_a_user_and_a_password_that_is_not_shown() -> None:
    said = read_call(connect(address=long(-1062731775)))
    assert isinstance(said, Connect)
    assert (said.user, said.handle, said.address) == ("alice", 5, -1062731775)
    assert said.password.reveal() == "token"
    assert "token" not in repr(said)


@pytest.mark.parametrize(
    "user", [Atom(QType.SYMBOL, "al\udcffice"), Vector(QType.CHAR, b"al\xffice")]
)
def test_a_connect_may_bring_a_user_that_is_no_utf_8(user: Value) -> None:
    said = read_call(connect(user=user, password=Vector(QType.CHAR, b"bearer:\xff")))
    assert isinstance(said, Connect)
    assert said.user == "al\ufffdice"
    assert said.password.reveal() == "bearer:\udcff"


def test_the_handle_of_a_connect_may_be_unknown() -> None:
    said = read_call(connect(handle=int_(0)))
    assert isinstance(said, Connect)
    assert said.handle == 0


def test_a_hello_may_say_which_version_of_the_hook_says_it() -> None:
    said = read_call(hello(version=string("0.1.0")))
    assert isinstance(said, Hello)
    assert said.hook == "0.1.0"


@pytest.mark.parametrize("version", [long(4), string("two\nlines"), string("x" * 257)])
def test_what_is_no_version_is_let_be(version: Value) -> None:
    assert read_call(hello(version=version)) == read_call(hello())


def test_more_entries_than_asked_for_are_let_be() -> None:
    assert read_call(hello(more=long(4))) == read_call(hello())


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (call("opened", guid(SESSION), int_(5)), Opened(session=SESSION, handle=5)),
        (call("opened", guid(SESSION), long(2**31 - 1)), Opened(session=SESSION, handle=2**31 - 1)),
        (call("disconnect", int_(5)), Disconnect(handle=5)),
        (call("disconnect", int_(5), guid(SESSION)), Disconnect(handle=5, session=SESSION)),
        (call("disconnect", int_(0), guid(SESSION)), Disconnect(handle=0, session=SESSION)),
        (call("sessions"), Sessions()),
        (call("follow", dictionary({})), Follow()),
        (call("follow", Dictionary(EMPTY, EMPTY)), Follow()),
        (call("follow", dictionary({"some": int_(1), "day": symbol("more")})), Follow()),
        (symbol("sessions"), Sessions()),
        (string("sessions"), Sessions()),
        (Vector(QType.SYMBOL, ("sessions",)), Sessions()),
        (List((string("disconnect"), int_(5))), Disconnect(handle=5)),
        (call("reconcile", NO_INTS, NO_GUIDS), Reconciliation(held=())),
        (call("reconcile", EMPTY, EMPTY), Reconciliation(held=())),
        (
            call("reconcile", list_(int_(5), int_(6)), list_(guid(SESSION), guid(UUID(int=8)))),
            Reconciliation(held=((5, SESSION), (6, SessionId(UUID(int=8))))),
        ),
        (
            call("reconcile", list_(long(5)), List((guid(SESSION),))),
            Reconciliation(held=((5, SESSION),)),
        ),
    ],
)
def test_each_call_is_read_in_every_form_q_sends(sent: Value, said: object) -> None:
    assert read_call(sent) == said


def test_a_renewal_brings_a_session_and_a_password() -> None:
    said = read_call(call("renew", guid(SESSION), string("token")))
    assert isinstance(said, Renewal)
    assert said.session == SESSION
    assert said.password.reveal() == "token"


def test_a_web_has_what_came_over_http_and_shows_no_secret_of_it() -> None:
    said = read_call(web())
    assert isinstance(said, Web)
    assert (said.target, said.accept, said.origin, said.host, said.site, said.address) == (
        *("/page?a", "text/html", "", "gw:5007", "", 2130706433),
    )
    assert (said.bearer.reveal(), said.cookie.reveal()) == ("token", "a=b")
    assert not [secret for secret in ("token", "a=b") if secret in repr(said)]


def test_a_web_may_say_from_which_site_a_request_comes() -> None:
    said = read_call(web(site=string("cross-site")))
    assert isinstance(said, Web)
    assert said.site == "cross-site"


def test_a_webs_texts_may_be_symbols_strings_or_chars() -> None:
    for sent, text in ((symbol("x"), "x"), (Atom(QType.CHAR, b"x"), "x"), (EMPTY, "")):
        said = read_call(web(**dict.fromkeys(WEB_TEXTS, sent)))
        assert isinstance(said, Web)
        assert said.target == said.accept == said.origin == said.host == said.site == text
        assert said.bearer.reveal() == said.cookie.reveal() == text


def test_whatever_bytes_came_over_http_are_read() -> None:
    raw = Vector(QType.CHAR, b"/\xff\x00\r\n")
    said = read_call(web(**dict.fromkeys(("target", "bearer", "cookie", "host"), raw)))
    assert isinstance(said, Web)
    assert said.target == said.host == "/\ufffd\x00\r\n"
    assert said.bearer.reveal() == said.cookie.reveal() == said.host


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        (EMPTY, "a call must begin with a name"),
        (symbol(""), "a call must begin with a name"),
        (int_(5), "the name of a call must be a symbol or a string"),
        (list_(int_(5), int_(6)), "the name of a call must be a symbol or a string"),
        (dictionary(HELLO), "a call must be a list of a name and arguments"),
        (symbol("exit"), "unknown function"),
        (string('system "rm -rf /"'), "unknown function"),
        (call("hello"), "hello takes 1 argument"),
        (call("opened", guid(SESSION)), "opened takes 2 arguments"),
        (call("sessions", int_(1)), "sessions takes 0 arguments"),
        (call("disconnect"), "disconnect takes 1 or 2 arguments"),
        (call("disconnect", int_(-1), guid(SESSION)), "handle must be an int, 0 or above"),
        (call("disconnect", int_(5), int_(5)), "session must be a guid"),
        (call("hello", symbol("gw1")), "the argument of hello must be a dictionary"),
        (hello(pid=symbol("x")), "pid must be an int or a long, and not null"),
        (hello(pid=int_(-1)), "pid must be an int, 0 or above"),
        (hello(pid=long(2**31)), "pid must be an int, 0 or above"),
        (hello(name=string("a\nb")), "name must be printable, of at most 256 characters"),
        (hello(host=string("x" * 257)), "host must be printable, of at most 256 characters"),
        (hello(type=int_(1)), "type must be a symbol or a string"),
        (hello(nonce=string("x" * 15)), "nonce must be 16 to 128 printable characters"),
        (hello(nonce=string("x" * 129)), "nonce must be 16 to 128 printable characters"),
        (hello(nonce=string("\u00e9" * 16)), "nonce must be 16 to 128 printable characters"),
        (hello(nonce=string("\n" * 16)), "nonce must be 16 to 128 printable characters"),
        (hello(nonce=Vector(QType.CHAR, b"\xff" * 16)), "nonce must be UTF-8"),
        (
            call("hello", dictionary({"name": symbol("x"), "pid": int_(1)})),
            "hello needs type, host, nonce",
        ),
        (
            call("hello", Dictionary(symbols(["name", "name"]), EMPTY)),
            "the argument of hello must have each key once, and a value for each",
        ),
        (
            call("hello", Dictionary(list_(int_(1)), list_(int_(2)))),
            "the keys of the argument of hello must be symbols",
        ),
        (connect(password=symbol("token")), "password must be a string"),
        (connect(user=int_(1)), "user must be a symbol or a string"),
        (connect(handle=NULL_INT), "handle must be an int or a long, and not null"),
        (connect(handle=int_(-1)), "handle must be an int, 0 or above"),
        (connect(address=symbol("x")), "address must be an int or a long, and not null"),
        (call("opened", guid(SESSION), int_(0)), "handle must be above 0"),
        (call("opened", string("x"), int_(5)), "session must be a guid"),
        (call("disconnect", int_(0)), "handle must be above 0"),
        (call("renew", guid(SESSION), symbol("token")), "password must be a string"),
        (call("renew", symbol("x"), string("token")), "session must be a guid"),
        (
            call("reconcile", list_(int_(5)), NO_GUIDS),
            "handles and sessions must be of one length",
        ),
        (
            call("reconcile", list_(int_(5), int_(5)), list_(NULL_GUID, guid(SESSION))),
            "each handle and each session may be there once",
        ),
        (
            call("reconcile", list_(int_(5), int_(6)), list_(NULL_GUID, NULL_GUID)),
            "each handle and each session may be there once",
        ),
        (call("reconcile", list_(int_(0)), list_(NULL_GUID)), "handles must be above 0"),
        (call("reconcile", list_(int_(-1)), list_(NULL_GUID)), "handles must be above 0"),
        (call("reconcile", list_(long(2**31)), list_(NULL_GUID)), "handles must be above 0"),
        (call("follow", symbol("all")), "the argument of follow must be a dictionary"),
        (symbol("follow"), "follow takes 1 argument"),
        (symbol("web"), "web takes 1 argument"),
        (call("web", string("/")), "the argument of web must be a dictionary"),
        (
            call("web", dictionary({"target": string("/"), "host": string("x")})),
            "web needs accept, origin, bearer, cookie, address",
        ),
        *((web(**{name: int_(1)}), f"{name} must be a symbol or a string") for name in WEB_TEXTS),
        (web(address=NULL_INT), "address must be an int or a long, and not null"),
        (call("reconcile", int_(1), NO_GUIDS), "handles must be a list of ints or longs"),
        (call("reconcile", NO_INTS, NIL), "sessions must be a list of guids"),
        (
            call(".u.sub", symbol("sessionevents"), symbols(["x"] * (MAX_FILTER + 1))),
            "the filter has at most 1000 names of 256 characters",
        ),
        (
            call(".u.sub", symbol("sessionevents"), symbols(["x" * (MAX_TEXT + 1)])),
            "the filter has at most 1000 names of 256 characters",
        ),
    ],
)
def test_anything_else_is_an_error_that_says_what_it_must_be(sent: Value, text: str) -> None:
    with pytest.raises(CallError) as caught:
        read_call(sent)
    assert str(caught.value) == text


@given(value=values)
def test_whatever_arrives_is_a_call_or_a_call_error(value: Value) -> None:
    try:
        read_call(value)
    except CallError:
        return
    assert value in (symbol("sessions"), string("sessions"))
