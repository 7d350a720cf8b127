"""Plain passwords: they never leave q, and nobody gets in because nobody checked."""

import hashlib
from pathlib import Path

import pytest

from tests.q.conftest import Start
from tests.q.interpreter import Interpreter
from tests.q.scripted import ScriptedDaemon

pytestmark = pytest.mark.needs("q")

CHECK = '.z.pw:{[u;p] (u~`alice)&p~"secret"}'


def admitted(q: Interpreter, user: str, password: str) -> bool:
    client = q.login(user, password)
    if client is not None:
        client.close()
    return client is not None


def test_q_with_no_check_of_its_own_refuses_a_wrong_an_empty_and_a_token_users_plain_password(
    start_q: Start, daemon: ScriptedDaemon
) -> None:
    q = start_q(port=daemon.port)
    q.wait_until(".sessiond.ready[]")
    token_user = q.login("alice", "bearer:good")
    assert token_user is not None
    assert not admitted(q, "alice", "hunter2")
    assert not admitted(q, "alice", "")
    assert not admitted(q, "bob", "hunter2")
    assert not admitted(q, "", "")
    token_user.close()


@pytest.mark.parametrize(
    "accept_all",
    [
        ".z.pw:{[x;y]1b}",
        ".z.pw:{{[x;y]1b}}[]",
        ".z.pw:{[user;password] 1b}",
        ".z.pw:{[f;u;p] .audit.last:u; f[u;p]}[{[x;y]1b};;]",
        ".z.pw:{[name;f;u;p] f[u;p]}[`pw;{[f;u;p] f[u;p]}[{[x;y]1b};;];;]",
        ".z.pw:{[u;p] not u in `mallory`eve}",
        ".z.pw:{[u;p] 0<count p}",
    ],
)
def test_a_check_that_accepts_everybody_does_not_count(start_q: Start, accept_all: str) -> None:
    q = start_q(accept_all)
    assert q.evaluate(".sessiond.checks") == "0b"
    assert not admitted(q, "alice", "secret")
    assert q.prints("plain passwords: refused")


def test_a_check_that_refuses_somebody_goes_on_checking(start_q: Start) -> None:
    q = start_q(CHECK)
    assert admitted(q, "alice", "secret")
    assert not admitted(q, "alice", "secres")
    assert not admitted(q, "bob", "secret")


def test_a_check_behind_a_wrapper_goes_on_checking(start_q: Start) -> None:
    inner = '{[u;p] p~"secret"}'
    q = start_q(f".z.pw:{{[name;f;u;p] f[u;p]}}[`pw;{inner};;]")
    assert admitted(q, "alice", "secret")
    assert not admitted(q, "alice", "")


def test_a_check_that_fails_refuses(start_q: Start) -> None:
    q = start_q(".z.pw:{[u;p] '`broken}")
    assert not admitted(q, "alice", "secret")
    assert q.evaluate("1+1") == "2"


def test_a_check_that_answers_no_boolean_refuses(start_q: Start) -> None:
    q = start_q('.z.pw:{[u;p] $[p~"secret";1;0]}')
    assert not admitted(q, "alice", "secret")


def test_the_administrator_can_say_that_a_check_is_none_or_is_one(start_q: Start) -> None:
    ignored = start_q(f"{CHECK}\n.sessiond.earlier:`ignore")
    assert not admitted(ignored, "alice", "secret")
    trusted = start_q(".z.pw:{[u;p] not u~`mallory}\n.sessiond.earlier:`trust")
    assert admitted(trusted, "alice", "any")
    assert not admitted(trusted, "mallory", "any")


def test_a_check_gets_plain_passwords_and_never_a_token(start_q: Start) -> None:
    q = start_q('.seen:();.z.pw:{[u;p] .seen,:enlist p; p~"secret"}')
    admitted(q, "alice", "bearer:opaque-access-token")
    admitted(q, "alice", "eyJhbGciOiJSUzI1NiJ9.e30.x")
    admitted(q, "alice", "secret")
    assert q.evaluate("1_.seen") == ',"secret"'


def test_the_daemon_never_sees_a_plain_password(start_q: Start, daemon: ScriptedDaemon) -> None:
    q = start_q(CHECK, port=daemon.port)
    q.wait_until(".sessiond.ready[]")
    assert admitted(q, "alice", "secret")
    assert not admitted(q, "alice", "a.plain.pass;word")
    assert not admitted(q, "alice", "x" * 300)
    daemon.settle()
    assert "connect" not in daemon.names()
    assert b"secret" not in daemon.received
    assert b"plain" not in daemon.received


def write_password_file(folder: Path) -> Path:
    path = folder / "passwords"
    path.write_text(
        "\n".join(
            [
                "alice:wonder:land",
                "bob:" + hashlib.md5(b"builder", usedforsecurity=False).hexdigest(),
                "carol:" + hashlib.sha1(b"singer", usedforsecurity=False).hexdigest().upper(),
                "dave:",
                "no colon here",
                "alice:second",
            ]
        )
    )
    return path


def test_a_password_file_holds_plain_md5_and_sha1_entries(start_q: Start, tmp_path: Path) -> None:
    path = write_password_file(tmp_path)
    q = start_q(f'.sessiond.passwords:hsym`$"{path}"')
    assert admitted(q, "alice", "wonder:land")
    assert admitted(q, "bob", "builder")
    assert admitted(q, "carol", "singer")


@pytest.mark.parametrize(
    ("user", "password"),
    [
        ("alice", "wonder"),
        ("alice", "second"),
        ("alice", ""),
        ("ALICE", "wonder:land"),
        ("bob", "Builder"),
        ("bob", hashlib.md5(b"builder", usedforsecurity=False).hexdigest()),
        ("carol", hashlib.sha1(b"singer", usedforsecurity=False).hexdigest()),
        ("dave", ""),
        ("no colon here", ""),
        ("", ""),
        ("mallory", "wonder:land"),
    ],
)
def test_a_password_file_lets_nobody_else_in(
    start_q: Start, tmp_path: Path, user: str, password: str
) -> None:
    path = write_password_file(tmp_path)
    q = start_q(f'.sessiond.passwords:hsym`$"{path}"')
    assert not admitted(q, user, password)


def test_a_password_file_that_cannot_be_read_lets_nobody_in_and_is_read_anew(
    start_q: Start, tmp_path: Path
) -> None:
    q = start_q(f'.sessiond.passwords:hsym`$"{tmp_path}/passwords"\n.sessiond.fallback:1b')
    assert not admitted(q, "alice", "wonder:land")
    assert q.prints(f"the file in .sessiond.passwords cannot be read: {tmp_path}/passwords")
    assert not admitted(q, "alice", "")
    write_password_file(tmp_path)
    assert admitted(q, "alice", "wonder:land")


def test_a_password_file_and_an_earlier_check_must_both_agree(
    start_q: Start, tmp_path: Path
) -> None:
    path = write_password_file(tmp_path)
    q = start_q(f'.z.pw:{{[u;p] u~`bob}}\n.sessiond.passwords:hsym`$"{path}"')
    assert admitted(q, "bob", "builder")
    assert not admitted(q, "alice", "wonder:land")
    assert not admitted(q, "bob", "wrong")


def test_fallback_lets_everybody_in_but_a_name_with_a_live_token_session(
    start_q: Start, daemon: ScriptedDaemon
) -> None:
    q = start_q(".sessiond.fallback:1b", port=daemon.port)
    q.wait_until(".sessiond.ready[]")
    assert q.prints("EVERYBODY IS ACCEPTED")
    assert admitted(q, "bob", "whatever")
    assert admitted(q, "alice", "")
    token_user = q.login("alice", "bearer:good")
    assert token_user is not None
    assert not admitted(q, "alice", "whatever")
    assert not admitted(q, "ALICE", "whatever")
    assert admitted(q, "bob", "whatever")
    token_user.close()
    q.wait_until("0=count .sessiond.sessions")
    assert admitted(q, "alice", "whatever")


def test_fallback_does_not_replace_a_check_that_is_there(start_q: Start) -> None:
    q = start_q(f"{CHECK}\n.sessiond.fallback:1b")
    assert not admitted(q, "bob", "whatever")


@pytest.mark.parametrize("flag", ["-u", "-U"])
def test_a_q_started_with_its_own_password_file_warns_and_reads_that_file(
    start_q: Start, tmp_path: Path, flag: str
) -> None:
    path = write_password_file(tmp_path)
    q = start_q(f'.sessiond.arguments:("q";"app.q";"{flag}";"{path}")')
    assert q.prints("warning: q was started with -u or -U")
    assert q.evaluate('.z.pw[`bob;"builder"]') == "1b"
    assert q.evaluate('.z.pw[`bob;"wrong"]') == "0b"


def test_the_flag_u_1_names_no_file(start_q: Start) -> None:
    q = start_q('.sessiond.arguments:("q";"-u";"1")')
    assert "-u or -U" not in q.printed
    assert q.evaluate(".sessiond.passwords") == "`"


def test_a_name_that_may_be_a_token_is_not_logged(start_q: Start) -> None:
    q = start_q()
    token = "eyJhbGciOiJSUzI1NiJ9.e30.x"
    for name in (token, "x" * 200, "opaqueAccessToken012;refresh-token-of-them"):
        assert not admitted(q, name, "whatever")
        assert name not in q.printed
    assert q.prints("login of (token) refused", 3)
    assert q.printed.count("login of (token) refused") == 3


JWT = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UifQ.c2ln"


@pytest.mark.parametrize(
    "password",
    [
        f"Bearer {JWT}",
        f"{JWT} ",
        f'"{JWT}"',
        f"{JWT};null",
        JWT[:-4],
        "Bearer an-opaque-access-token",
    ],
)
def test_what_almost_is_a_token_is_refused_as_such_and_reaches_no_other_check(
    start_q: Start, daemon: ScriptedDaemon, tmp_path: Path, password: str
) -> None:
    (tmp_path / "passwords").write_text(f"alice:{password}\n")
    spy = '.seen:0\n.z.pw:{[u;p] .seen:1+.seen; not u~`$"sessiond-trial"}\n'
    q = start_q(
        spy + f'.sessiond.passwords:hsym`$"{tmp_path}/passwords"\n.sessiond.fallback:1b\n',
        ".seen:0",
        port=daemon.port,
    )
    q.wait_until(".sessiond.ready[]")
    assert not admitted(q, "alice", password)
    assert q.prints("login of alice refused: almost a token: it must be whole, with nothing around")
    assert q.evaluate(".seen") == "0"
    assert "connect" not in daemon.names()
    assert password not in q.logged
