"""Tokens go to a daemon that has shown that it knows the key, and to nobody else."""

import hashlib
from pathlib import Path

import pytest

from sessiond.qipc import (
    QError,
    Value,
    dictionary,
    list_,
    long,
    mapping,
    octets,
    string,
    symbol,
    text,
)
from tests.q.conftest import Start
from tests.q.scripted import KEY, ScriptedDaemon

pytestmark = pytest.mark.needs("q")

TOKEN = "bearer:an-opaque-access-token"


def test_a_squatter_without_the_key_gets_no_token(start_q: Start, tmp_path: Path) -> None:
    with ScriptedDaemon(tmp_path, key="another key, as long as the right one is") as squatter:
        q = start_q(port=squatter.port)
        squatter.next_call("hello")
        q.wait_until("0<count .sessiond.trouble")
        assert q.login("alice", TOKEN) is None
        squatter.next_call("hello")  # tried again, refused again
        assert q.login("alice", TOKEN) is None
        assert q.prints("somebody else is listening")
    assert b"opaque" not in squatter.received
    assert b"alice" not in squatter.received
    assert set(squatter.names()) <= {"hello"}


@pytest.mark.parametrize(
    "answer",
    [
        QError("access"),
        long(1),
        list_(),
        dictionary({"server": string("x")}),
        dictionary(
            {"server": string("x"), "instance": long(1), "proof": list_(), "deadline": long(1)}
        ),
        dictionary(
            {
                "server": string("x"),
                "instance": long(1),
                "proof": octets(hashlib.sha1(b"", usedforsecurity=False).digest()),
                "deadline": long(1),
            }
        ),
    ],
    ids=str,
)
def test_a_greeting_that_proves_nothing_is_no_daemon(
    start_q: Start, daemon: ScriptedDaemon, answer: Value | QError
) -> None:
    daemon.answers["hello"] = lambda _: answer
    q = start_q(port=daemon.port)
    q.wait_until("0<count .sessiond.trouble")
    assert q.login("alice", TOKEN) is None
    assert "connect" not in daemon.names()
    assert b"opaque" not in daemon.received


def test_each_greeting_has_a_nonce_of_its_own_so_a_proof_cannot_be_played_again(
    start_q: Start, tmp_path: Path
) -> None:
    with ScriptedDaemon(tmp_path, key="another key, as long as the right one is") as squatter:
        start_q(port=squatter.port)
        nonces = {text(mapping(squatter.next_call("hello")[0])["nonce"]) for _ in range(3)}
    assert len(nonces) == 3


@pytest.mark.parametrize(
    ("setting", "trouble"),
    [
        (".sessiond.proofkey:`", "no .sessiond.proofkey is set"),
        (".sessiond.proofkey:`:/nonexistent/proof", "the key in /nonexistent/proof cannot be read"),
        ('.sessiond.proofkey:`$":",getenv[`QUDSPATH],"/short"', "/short is shorter than 32"),
    ],
)
def test_without_a_key_of_its_own_q_sends_no_token_and_says_why(
    start_q: Start, daemon: ScriptedDaemon, tmp_path: Path, setting: str, trouble: str
) -> None:
    (tmp_path / "short").write_text("abc\n")
    q = start_q(setting, port=daemon.port)
    q.wait_until("0<count .sessiond.trouble")
    assert q.login("alice", TOKEN) is None
    assert q.prints("no token is sent to what listens at ::")
    assert trouble in q.evaluate(".sessiond.status[]`trouble")
    assert b"opaque" not in daemon.received


def test_a_q_without_sha1_sends_no_token(start_q: Start, daemon: ScriptedDaemon) -> None:
    q = start_q(port=daemon.port, after='.sessiond.digest:{[k;n] \'`nyi}\n.sessiond.depart "test"')
    q.wait_until('.sessiond.trouble like "no -33!*"')
    assert q.login("alice", TOKEN) is None
    assert b"opaque" not in daemon.received


def test_the_administrator_can_do_without_the_proof(start_q: Start, tmp_path: Path) -> None:
    with ScriptedDaemon(tmp_path, key="another key, as long as the right one is") as other:
        q = start_q(".sessiond.proof:0b", port=other.port)
        q.wait_until(".sessiond.ready[]")
        assert q.login("alice", TOKEN) is not None
        assert q.prints("NO PROOF WAS ASKED")


def test_the_proof_is_that_of_the_contract(start_q: Start, tmp_path: Path) -> None:
    q = start_q()
    place = f"sessiond:{tmp_path}/kx.1:"
    inner = hashlib.sha1((KEY + place + "nonce").encode(), usedforsecurity=False).digest()
    outer = hashlib.sha1(KEY.encode() + inner, usedforsecurity=False).hexdigest()
    assert q.evaluate(f'.sessiond.digest["{KEY}";"nonce"]') == f"0x{outer}"


def test_the_directory_of_the_proof_is_tmp_where_q_knows_no_other(start_q: Start) -> None:
    q = start_q(environment={"QUDSPATH": ""})
    inner = hashlib.sha1((KEY + "sessiond:/tmp/kx.1:n").encode(), usedforsecurity=False).digest()
    outer = hashlib.sha1(KEY.encode() + inner, usedforsecurity=False).hexdigest()
    assert q.evaluate(f'.sessiond.digest["{KEY}";enlist"n"]') == f"0x{outer}"


def test_a_daemon_that_answers_reconcile_with_an_error_is_left(
    start_q: Start, daemon: ScriptedDaemon
) -> None:
    daemon.answers["reconcile"] = lambda _: symbol("x")
    q = start_q(port=daemon.port)
    q.wait_until("0<count .sessiond.trouble")
    assert q.evaluate(".sessiond.ready[]") == "0b"
    daemon.answers["reconcile"] = lambda _: list_()
    q.wait_until(".sessiond.ready[]")
