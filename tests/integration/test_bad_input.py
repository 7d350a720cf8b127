"""Bad input costs its sender that call, at most that connection; never anybody else."""

import struct
from collections.abc import Iterator

import pytest

from sessiond.qipc import (
    List,
    Value,
    call,
    dictionary,
    encode_message,
    int_,
    long,
    string,
    symbol,
    symbols,
)
from sessiond.qipc.messages import MessageKind
from sessiond.testing import FakeProcess, QReplyError
from sessiond.testing.calls import connect_call
from sessiond.testing.plain import plain_dict
from tests.integration.conftest import Start
from tests.issuer.running import ALICE, RunningIssuer
from tests.peers import PeerFarm
from tests.running_daemon import RunningDaemon, configuration


@pytest.fixture(scope="module")
def daemon(running_strict_issuer: RunningIssuer, start_shared: Start) -> RunningDaemon:
    """One for all: whatever it was sent, it serves the next test as if nothing had been."""
    return start_shared(configuration(running_strict_issuer))


@pytest.fixture
def pair_of(daemon: RunningDaemon, strict_issuer: RunningIssuer) -> Iterator[list[FakeProcess]]:
    """Two processes; the second must work at the end of the test as if nothing had been."""
    with PeerFarm(daemon.address, 2) as farm:
        bad, good = (FakeProcess(each) for each in farm.sockets)
        good.hello()
        session = good.log_in(ALICE, strict_issuer.tokens()["access_token"])["session"]
        yield [bad, good]
        assert [each["session"] for each in good.sessions()] == [session]
        assert good.connect(ALICE, strict_issuer.tokens()["access_token"], 6)["ok"]


MALFORMED = {
    "big-endian": bytes.fromhex("0001000000000000"),
    "compressed": bytes.fromhex("0101010011000000") + bytes(9),
    "unknown kind": bytes.fromhex("0109000011000000") + bytes(9),
    "a size below the header's": bytes.fromhex("0101000003000000"),
    "oversize": struct.pack("<BBBBI", 1, 1, 0, 0, (1 << 20) + 1),
    "4 GB": struct.pack("<BBBBI", 1, 1, 0, 0, 0xFFFFFFFF),
    "an unknown type": bytes.fromhex("01010000090000000d"),
    "a list of two thousand million": bytes.fromhex("010100000e000000") + b"\0\0\xff\xff\xff\x7f",
    "a symbol without an end": bytes.fromhex("010100000b000000") + b"\xf5ab",
    "bytes after the value": bytes.fromhex("010100000b000000") + b"\xff\x01\x01",
    "an answer to nothing": bytes.fromhex("010200000a000000") + b"\xff\x01",
    "nesting": struct.pack("<BBBBI", 1, 1, 0, 0, 8 + 6 * 400) + b"\0\0\1\0\0\0" * 400,
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_message_closes_that_connection_only(
    pair_of: list[FakeProcess], name: str
) -> None:
    bad, _ = pair_of
    bad.hello()
    bad.send(MALFORMED[name])
    assert bad.is_cut()


def web_without(**entries: Value) -> Value:
    """Return a request over HTTP of which these are as they must not be."""
    texts = ("target", "bearer", "cookie", "accept", "origin", "host")
    request = {**dict.fromkeys(texts, string("")), "address": int_(0), **entries}
    return call("web", dictionary(request))


WRONG: dict[str, Value] = {
    "unknown function": call("exec", string("1+1")),
    "a string to be run": string("1+1"),
    "no name": List(()),
    "a number": long(1),
    "too few arguments": call("connect"),
    "too many": call("sessions", int_(1), int_(2)),
    "no dictionary": call("connect", symbol("alice")),
    "missing keys": call("connect", dictionary({"user": symbol("a"), "handle": int_(1)})),
    "a password that is a number": call(
        "connect",
        dictionary(
            {"user": symbol("a"), "password": long(1), "handle": int_(1), "address": int_(0)}
        ),
    ),
    "a negative handle": call("disconnect", int_(-1)),
    "a null handle": call("disconnect", int_(-(2**31))),
    "a handle that is a symbol": call("disconnect", symbol("five")),
    "a session that is no guid": call("opened", string("x"), int_(5)),
    "lists of different lengths": call("reconcile", int_(5), symbols(["a", "b"])),
    **{
        f"a web whose {name} is a number": web_without(**{name: long(1)})
        for name in ("target", "bearer", "cookie", "accept", "origin", "host", "site")
    },
    "a web whose address is null": web_without(address=int_(-(2**31))),
    "a web without a host": call("web", dictionary({"target": string("/"), "bearer": string("")})),
    "a web that is a text": call("web", string("/")),
    "a web of nothing": call("web"),
    "a second hello": call("hello", dictionary({})),
}


def test_a_wrong_call_is_answered_with_an_error_and_the_connection_stays(
    pair_of: list[FakeProcess],
) -> None:
    bad, _ = pair_of
    with pytest.raises(QReplyError, match="sessiond: say hello first"):
        bad.sync(call("sessions"))
    bad.hello()
    for name, wrong in WRONG.items():
        with pytest.raises(QReplyError, match=r"^sessiond: "):
            raise AssertionError(f"{name}: {bad.sync(wrong)}")
    assert bad.sessions() == []


def test_the_same_wrong_calls_sent_async_cost_nothing(pair_of: list[FakeProcess]) -> None:
    bad, _ = pair_of
    bad.hello()
    for wrong in WRONG.values():
        bad.tell(wrong)
    bad.tell(connect_call(ALICE, "eyJ"))
    assert bad.sessions() == []
    assert bad.pushes == []


@pytest.mark.parametrize(
    ("user", "password", "reason"),
    [
        (ALICE, "\x00\x01\x02" * 10922, "nottoken"),
        (ALICE, "eyJ" + "." * 32765, "nottoken"),
        (ALICE, "bearer:" + "\x7f" * 32761, "malformed"),
        (ALICE, "a" * 16383 + ";" + "b" * 16384, "malformed"),
        ("\x01\x02\n\r\x1b[31m", "TOKEN", "usermismatch"),
        ("a" * 257, "TOKEN", "usermismatch"),
        ("", "TOKEN", "usermismatch"),
        ("аlice@contoso.test", "TOKEN", "usermismatch"),  # its first letter is Cyrillic
        ("alice@contoso.test.", "TOKEN", "usermismatch"),
        ("alice@contoso.test ", "TOKEN", "usermismatch"),
        ("alice@contoso.test\u200b", "TOKEN", "usermismatch"),
        ("alice@contoso.test\udcff", "TOKEN", "usermismatch"),  # a byte that is no UTF-8
        (ALICE, "Bearer TOKEN", "nottoken"),
        ("ALICE@contoso.test", "TOKEN", ""),  # the one folding there is
    ],
)
def test_odd_names_and_passwords_are_refused_with_a_reason(
    strict_issuer: RunningIssuer,
    daemon: RunningDaemon,
    pair_of: list[FakeProcess],
    user: str,
    password: str,
    reason: str,
) -> None:
    bad, _ = pair_of
    bad.hello()
    token = strict_issuer.tokens()["access_token"]
    answer = bad.connect(user, password.replace("TOKEN", token))
    assert answer["reason"] == reason
    log = "".join(daemon.lines)
    assert "\x1b" not in log
    assert token not in log


def test_a_token_typed_as_the_user_name_is_not_shown(
    strict_issuer: RunningIssuer, daemon: RunningDaemon, pair_of: list[FakeProcess]
) -> None:
    bad, _ = pair_of
    bad.hello(name="slip")
    token = strict_issuer.tokens()["access_token"]
    assert bad.connect(token, "a password")["reason"] == "nottoken"
    assert bad.connect(token, token)["reason"] == "usermismatch"
    shown = [each["user"] for each in daemon.logged(2, outcome="refused", process="slip")]
    assert shown == ["(token)", "(token)"]


def test_bytes_that_are_no_utf8_are_the_callers_error(pair_of: list[FakeProcess]) -> None:
    bad, _ = pair_of
    bad.hello()
    odd = encode_message(MessageKind.SYNC, call("XY", string("")))
    bad.expect(1)
    bad.send(odd.replace(b"XY", b"\xff\xfe"))
    with pytest.raises(QReplyError):
        bad.answer()


def test_no_handshake_is_not_waited_for_beyond_4_kib(
    daemon: RunningDaemon, pair_of: list[FakeProcess]
) -> None:
    assert pair_of
    with FakeProcess(daemon.address, greets=False) as silent:
        silent.send(b"a" * 5000)
        assert silent.is_cut()


def test_replies_come_in_the_order_of_the_calls(
    strict_issuer: RunningIssuer, pair_of: list[FakeProcess]
) -> None:
    bad, _ = pair_of
    bad.hello()
    token = strict_issuer.tokens()["access_token"]
    bad.ask(connect_call(ALICE, token, 5))
    bad.ask(call("nonsense"))
    bad.ask(connect_call(ALICE, "plain", 6))
    bad.tell(call("disconnect", int_(5)))
    bad.ask(call("sessions"))
    bad.ask(string(""))
    assert plain_dict(bad.answer())["ok"]
    with pytest.raises(QReplyError, match="unknown function"):
        bad.answer()
    assert plain_dict(bad.answer())["reason"] == "nottoken"
    assert bad.answer() is not None
    bad.answer()
    assert bad.sessions() == []
