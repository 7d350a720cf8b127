"""SIGHUP: a new configuration counts at once and as a whole, and nobody is thrown out by it."""

import os
import signal
import socket
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from sessiond.qipc import octets_of, string
from sessiond.testing import FakeProcess, QReplyError
from sessiond.testing.calls import connect_call
from sessiond.testing.plain import plain_dict
from tests.integration.conftest import Connected, Start
from tests.integration.operating import Operator, watching
from tests.integration.test_login import pair
from tests.issuer.control import ALWAYS
from tests.issuer.running import ALICE, BOB, RunningIssuer
from tests.running_daemon import RunningDaemon, configuration

ALICES = 'users = ["alice*"]'
BOBS = """
[[issuer]]
name = "other"
issuer = "{issuer}"
insecure_http = true
users = ["bob*"]
refresh_client_id = "qstudio"
"""
JWT = 'verify = "jwt"\naudience = ["api://kdb"]\n'
USERINFO = 'verify = "userinfo"\ntimeout = 60.0\n'
PATIENT = "deadline = 60.0"


def other(issuer: RunningIssuer, verify: str = JWT) -> str:
    """Return the table of a second issuer, for bob."""
    return BOBS.replace("{issuer}", issuer.issuer) + verify


def write(daemon: RunningDaemon, text: str) -> None:
    """Put a new configuration where the daemon reads it."""
    draft = daemon.folder / "config.draft"
    draft.write_text(text.format(folder=daemon.folder, port=daemon.port))
    draft.replace(daemon.folder / "config.toml")


def reload(daemon: RunningDaemon, text: str) -> None:
    """Have a configuration applied, and wait until it is."""
    before = len([each for each in daemon.log() if each["event"] == "configuration applied"])
    write(daemon, text)
    os.kill(daemon.pid, signal.SIGHUP)
    daemon.logged(before + 1, event="configuration applied")


def status_of(daemon: RunningDaemon) -> dict[str, Any]:
    with Operator(daemon) as operator:
        found: dict[str, Any] = operator.get("/v1/status")["configuration"]
        return found


def opaque(issuer: RunningIssuer, user: str = ALICE) -> str:
    token = issuer.tokens(user, client="qstudio-opaque", scope="openid profile")["access_token"]
    return f"bearer:{token}"


def test_a_bad_file_changes_nothing_and_says_so(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    daemon = start(configuration(strict_issuer))
    q = process(daemon)
    q.log_in(ALICE, strict_issuer.tokens()["access_token"])
    began = status_of(daemon)
    assert (began["generation"], began["last_error"]) == (1, "")
    bad = configuration(strict_issuer, login='deadline = "soon"\nwaiting = 0')
    write(daemon, bad)
    os.kill(daemon.pid, signal.SIGHUP)
    refused = daemon.logged(2, event="configuration refused")
    problems = [each["problem"] for each in refused]
    assert [each.split(" ")[0] for each in problems] == ["login.deadline", "login.waiting"]
    after = status_of(daemon)
    assert (after["generation"], after["loaded_at"]) == (1, began["loaded_at"])
    assert after["last_error"].splitlines() == problems
    assert after["last_error_at"] > began["loaded_at"]
    assert q.connect(BOB, strict_issuer.tokens(BOB)["access_token"], 6)["ok"]
    reload(daemon, configuration(strict_issuer))
    mended = status_of(daemon)
    assert (mended["generation"], mended["last_error"], mended["last_error_at"]) == (2, "", None)


@pytest.mark.parametrize(
    ("extra", "problem"),
    [
        ('refresh_client_secret_file = "/nowhere/secret"', "refresh_client_secret_file"),
        ('ca_file = "/nowhere/ca.pem"', "ca_file"),
    ],
)
def test_what_a_file_names_must_be_there_too(
    strict_issuer: RunningIssuer, start: Start, extra: str, problem: str
) -> None:
    daemon = start(configuration(strict_issuer))
    text = configuration(strict_issuer, extra=extra)
    write(daemon, text)
    os.kill(daemon.pid, signal.SIGHUP)
    (refused,) = daemon.logged(1, event="configuration refused")
    assert problem in refused["problem"]
    assert status_of(daemon)["generation"] == 1


def test_a_name_that_cannot_be_looked_up_changes_nothing_and_ends_nothing(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    daemon = start(configuration(strict_issuer))
    q = process(daemon)
    write(daemon, configuration(strict_issuer, listen='allow_users = ["no-such-user"]'))
    os.kill(daemon.pid, signal.SIGHUP)
    (refused,) = daemon.logged(1, event="configuration refused")
    assert refused["problem"].startswith("listen.allow_users: no user 'no-such-user' is found")
    assert status_of(daemon)["generation"] == 1
    q.log_in(ALICE, strict_issuer.tokens()["access_token"])


def test_an_issuer_comes_and_goes_and_only_its_own_sessions_end(
    strict_issuer: RunningIssuer, entra_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    alone = configuration(strict_issuer, extra=ALICES)
    both = alone + other(entra_issuer)
    daemon = start(alone)
    q = process(daemon)
    alice = q.log_in(ALICE, strict_issuer.tokens()["access_token"])
    bobs = pair(entra_issuer.tokens(BOB))
    assert q.connect(BOB, bobs, 6)["reason"] == "wrongissuer"
    reload(daemon, both)
    bob = q.log_in(BOB, bobs, 6)
    reload(daemon, alone)
    told = q.next_push()
    assert (told["event"], told["session"]) == ("revoked", bob["session"])
    assert told["reason"] == "wrongissuer"
    assert [each["session"] for each in q.sessions()] == [alice["session"]]
    assert q.connect(BOB, bobs, 6)["reason"] == "wrongissuer"
    reload(daemon, both)
    assert q.connect(BOB, bobs, 6)["ok"]  # the issuer refused nothing meanwhile
    assert q.pushes == []


def test_a_verdict_of_the_configuration_before_is_not_used_again(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    daemon = start(configuration(strict_issuer))
    q = process(daemon)
    token = strict_issuer.tokens()["access_token"]
    assert q.connect(ALICE, token)["roles"] == []
    # The keys are known already: even now that they cannot be fetched nobody waits for them.
    strict_issuer.control.fault("/keys", "hang", count=ALWAYS)
    reload(daemon, configuration(strict_issuer, extra='[issuer.roles]\ntrader = "trading"'))
    assert q.connect(ALICE, token, 6)["roles"] == ["trading"]
    reload(daemon, configuration(strict_issuer, extra='[issuer.roles]\ntrader = "watching"'))
    assert q.connect(ALICE, token, 7)["roles"] == ["watching"]


def test_an_issuer_about_which_nothing_changes_keeps_its_verdicts(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    extra = 'verify = "userinfo"'
    daemon = start(configuration(strict_issuer, extra=extra))
    q = process(daemon)
    token = opaque(strict_issuer)
    assert q.connect(ALICE, token)["ok"]
    reload(daemon, configuration(strict_issuer, extra=extra, login="unbound = 20.0"))
    assert q.connect(ALICE, token, 6)["ok"]
    assert strict_issuer.control.calls("/userinfo") == 1


def test_a_breaker_of_an_issuer_about_which_nothing_changes_stays_open(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    extra = 'verify = "userinfo"'
    daemon = start(configuration(strict_issuer, extra=extra))
    q = process(daemon)
    tokens = [opaque(strict_issuer) for _ in range(4)]
    strict_issuer.control.fault("/userinfo", count=ALWAYS)
    assert [q.connect(ALICE, each)["reason"] for each in tokens[:3]] == ["unavailable"] * 3
    reload(daemon, configuration(strict_issuer, extra=extra, login="unbound = 20.0"))
    with Operator(daemon) as operator:
        (corp,) = operator.get("/v1/status")["issuers"]
    assert not corp["healthy"]
    reload(daemon, configuration(strict_issuer, extra=f"{extra}\ntimeout = 1.0"))
    strict_issuer.control.clear_faults()
    assert q.connect(ALICE, tokens[3])["ok"]  # a changed one is asked anew


def test_a_login_under_way_is_not_let_in_by_an_issuer_that_is_gone(
    strict_issuer: RunningIssuer, entra_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    alone = configuration(entra_issuer, extra=ALICES, login=PATIENT)
    daemon = start(alone + other(strict_issuer, USERINFO))
    q = process(daemon)
    token = opaque(strict_issuer, BOB)
    strict_issuer.control.fault("/userinfo", "hold")
    q.ask(connect_call(BOB, token))
    strict_issuer.control.wait_for_calls("/userinfo")
    reload(daemon, alone)
    strict_issuer.control.clear_faults()
    assert plain_dict(q.answer())["reason"] == "wrongissuer"
    assert q.sessions() == []


def test_a_login_under_way_is_not_let_in_by_rules_that_have_changed(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    daemon = start(configuration(strict_issuer, extra=USERINFO, login=PATIENT))
    q = process(daemon)
    token = opaque(strict_issuer)
    strict_issuer.control.fault("/userinfo", "hold")
    q.ask(connect_call(ALICE, token))
    strict_issuer.control.wait_for_calls("/userinfo")
    strictly = f'{USERINFO}require_role = true\n[issuer.roles]\nnobody = "never"'
    reload(daemon, configuration(strict_issuer, extra=strictly, login=PATIENT))
    strict_issuer.control.clear_faults()
    assert plain_dict(q.answer())["reason"] == "unavailable"
    assert q.connect(ALICE, token)["reason"] == "noroles"  # kdb+'s second handshake


def test_a_refresh_under_way_is_kept_and_judged_by_the_new_rules(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    soon = "share = 0.1\njitter = 0.0"
    strict_issuer.control.set_access_token_lifetime(20)
    daemon = start(configuration(strict_issuer, refresh=soon))
    q = process(daemon)
    tokens = strict_issuer.tokens()
    strict_issuer.control.fault("/token", "hold")
    session = q.log_in(ALICE, pair(tokens))["session"]
    strict_issuer.control.wait_for_calls("/token")
    roles = '[issuer.roles]\ntrader = "trading"'
    reload(daemon, configuration(strict_issuer, refresh=soon, extra=roles))
    strict_issuer.control.clear_faults()
    told = q.next_push()
    assert (told["event"], told["session"]) == ("refreshed", session)
    assert told["roles"] == ["trading"]
    assert strict_issuer.control.calls("/token") == 1  # spent once: the new token was kept


def test_a_name_that_another_issuer_gets_does_not_get_the_sessions(
    strict_issuer: RunningIssuer, entra_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    daemon = start(configuration(strict_issuer))
    q = process(daemon)
    session = q.log_in(ALICE, pair(strict_issuer.tokens()))["session"]
    reload(daemon, configuration(entra_issuer))
    told = q.next_push()
    assert (told["session"], told["reason"]) == (session, "wrongissuer")
    assert entra_issuer.control.calls("/token") == 0


def test_nor_does_it_when_the_daemon_was_started_anew_in_between(
    strict_issuer: RunningIssuer, entra_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    daemon = start(configuration(strict_issuer))
    q = process(daemon)
    q.log_in(ALICE, pair(strict_issuer.tokens()))
    daemon.kill()
    write(daemon, configuration(entra_issuer))
    daemon.start()
    (gone,) = [each for each in daemon.log() if each["event"] == "issuer gone, sessions end"]
    assert gone["grants"] == 1
    with Operator(daemon) as operator:
        assert operator.get("/v1/sessions")["sessions"] == []
    assert entra_issuer.control.calls("/token") == 0


def test_a_new_client_secret_in_the_same_file_is_used(
    strict_issuer: RunningIssuer, start: Start, process: Connected, folder: Path
) -> None:
    secret = folder / "secret"
    secret.touch(mode=0o600)
    secret.write_text("not the secret")
    extra = f'verify = "introspection"\nclient_secret_file = "{secret}"'
    text = configuration(strict_issuer, extra=extra).replace('"qstudio"', '"qstudio-opaque"')
    daemon = start(text)
    q = process(daemon)
    assert q.connect(ALICE, opaque(strict_issuer))["reason"] == "unavailable"
    secret.write_text("sessiond-secret")
    reload(daemon, text)
    assert q.connect(ALICE, opaque(strict_issuer))["ok"]


def test_what_needs_a_restart_is_named_until_it_is_taken_back(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    plain = configuration(strict_issuer)
    daemon = start(plain)
    moved = plain.replace("port = {port}", "port = 1").replace("sessiond.db", "another.db")
    reload(daemon, moved.replace("[login]\n", "[login]\nwaiting = 5\n"))
    named = [each["key"] for each in daemon.logged(2, event="needs a restart")]
    assert named == ["listen.port", "store.path"] == status_of(daemon)["needs_restart"]
    assert process(daemon).sessions() == []  # where it was before
    reload(daemon, plain)
    assert status_of(daemon)["needs_restart"] == []


def test_a_connection_has_the_deadline_that_its_hello_was_told(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(configuration(strict_issuer, extra=USERINFO, login="deadline = 60.0"))
    tokens = [opaque(strict_issuer) for _ in range(2)]
    with FakeProcess(daemon.address) as q:
        q.hello()
        strict_issuer.control.fault("/userinfo", "hold", count=2)
        q.ask(connect_call(ALICE, tokens[0]))
        strict_issuer.control.wait_for_calls("/userinfo")
        reload(daemon, configuration(strict_issuer, extra=USERINFO, login="deadline = 0.3"))
        with FakeProcess(daemon.address) as newer:  # of the same process: it replaces the older
            newer.hello()
            assert newer.connect(ALICE, tokens[1])["reason"] == "deadline"
        strict_issuer.control.clear_faults()


def test_a_connection_has_its_proof_and_message_size_to_its_end_and_newer_ones_have_others(
    strict_issuer: RunningIssuer, start: Start, folder: Path
) -> None:
    key_file = folder / "proof.key"
    key_file.write_text("shared-key")
    key_file.chmod(0o640)
    large, small = "max_message = 1000000", "max_message = 65536"
    daemon = start(configuration(strict_issuer, listen=large))
    with FakeProcess(daemon.address) as q, FakeProcess(daemon.address) as late:
        q.hello()
        late.ping()  # it is being served
        reload(
            daemon, configuration(strict_issuer, listen=f'{small}\nproof_key_file = "{key_file}"')
        )
        with pytest.raises(QReplyError, match="unknown function"):
            q.sync(string("x" * 500_000))
        assert octets_of(late.hello()["proof"]) == b""  # of the same process: it replaces the older
        with pytest.raises(QReplyError, match="unknown function"):
            late.sync(string("x" * 500_000))
        with FakeProcess(daemon.address) as newer:
            assert octets_of(newer.hello()["proof"]) != b""
            with suppress(BrokenPipeError):  # it was cut before all was sent
                newer.ask(string("x" * 500_000))
            assert newer.is_cut()


def test_a_limit_counts_for_connections_and_processes_that_are_there_already(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    token = strict_issuer.tokens()["access_token"]
    one, two = "max_connections = 2", "max_connections = 3"
    daemon = start(configuration(strict_issuer, login="max_sessions = 1", listen=one))
    q = process(daemon)
    q.log_in(ALICE, token)
    assert q.connect(ALICE, token, 6)["reason"] == "throttled"
    reload(daemon, configuration(strict_issuer, login="max_sessions = 2", listen=one))
    q.log_in(ALICE, token, 6)
    with FakeProcess(daemon.address) as second, socket.socket(socket.AF_UNIX) as third:
        second.ping()
        third.connect(daemon.address)
        assert third.recv(1) == b""
        reload(daemon, configuration(strict_issuer, login="max_sessions = 1", listen=two))
        with FakeProcess(daemon.address) as fourth:
            fourth.ping()
    assert len(q.sessions()) == 2  # a lower limit ends none


def test_who_follows_events_asks_again_only_when_others_may(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(configuration(strict_issuer))
    with watching(daemon, after=0) as stream:
        stream.next()
        reload(daemon, configuration(strict_issuer, login="unbound = 20.0"))
        with FakeProcess(daemon.address) as q:
            q.hello()
            q.log_in(ALICE, strict_issuer.tokens()["access_token"])
        assert stream.until("session.opened")
        reload(daemon, configuration(strict_issuer, listen="control_readers = [12345]"))
        assert stream.is_over()
    with watching(daemon, after=0) as stream:  # root and the daemon's own user still may
        assert stream.until("session.opened")


def test_the_log_level_changes(strict_issuer: RunningIssuer, start: Start) -> None:
    daemon = start(configuration(strict_issuer))
    quiet = configuration(strict_issuer, log='level = "warning"', listen="path = false")
    write(daemon, quiet)
    os.kill(daemon.pid, signal.SIGHUP)
    daemon.logged(1, event="needs a restart", key="listen.path")
    assert "configuration applied" not in [each["event"] for each in daemon.log()]
    reload(daemon, configuration(strict_issuer))


def test_of_many_hangups_in_a_row_the_last_file_counts(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    daemon = start(configuration(strict_issuer))
    q = process(daemon)
    token = strict_issuer.tokens()["access_token"]
    for number in range(20):
        role = f'[issuer.roles]\ntrader = "role{number}"'
        write(daemon, configuration(strict_issuer, extra=role))
        os.kill(daemon.pid, signal.SIGHUP)
    while q.connect(ALICE, token)["roles"] != ["role19"]:
        pass  # the test's timeout ends this
    assert q.sessions()


@pytest.fixture
def notified(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Stand in for systemd: what it is told arrives here."""
    with (
        tempfile.TemporaryDirectory(prefix="sd-") as name,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told,
    ):
        told.bind(f"{name}/notify")
        told.settimeout(20.0)
        monkeypatch.setenv("NOTIFY_SOCKET", f"{name}/notify")
        yield told


def test_systemd_is_told_when_a_reload_begins_and_when_it_is_over(
    notified: socket.socket, strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(configuration(strict_issuer))
    assert notified.recv(4096).startswith(b"READY=1")
    for text in (configuration(strict_issuer), "not TOML"):
        write(daemon, text)
        os.kill(daemon.pid, signal.SIGHUP)
        begun = notified.recv(4096).splitlines()
        assert begun[0] == b"RELOADING=1"
        assert begun[1].startswith(b"MONOTONIC_USEC=")
        assert notified.recv(4096).startswith(b"READY=1")


def test_an_issuer_that_a_reload_loses_is_told_before_it_ends_anybody_and_with_who_and_why(
    strict_issuer: RunningIssuer, entra_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    daemon = start(configuration(strict_issuer, extra=ALICES) + other(entra_issuer))
    q = process(daemon)
    assert q.log_in(ALICE, strict_issuer.tokens()["access_token"])["ok"]
    assert q.log_in(BOB, entra_issuer.tokens(BOB)["access_token"], 6)["ok"]
    write(daemon, configuration(strict_issuer, extra=ALICES))
    with Operator(daemon) as operator, watching(daemon) as news:
        tried = operator.ask("POST", "/v1/reload", json={"dry_run": True}).json()
        assert (tried["applied"], tried["would_end"], tried["ended"]) == (False, {"other": 1}, 0)
        assert status_of(daemon)["generation"] == 1
        order = {"dry_run": False, "reason": "bob's firm is gone"}
        done = operator.ask("POST", "/v1/reload", json=order).json()
        assert (done["applied"], done["ended"]) == (True, 1)
        (told,) = [
            each for each in news.until("operator.reloaded") if each["kind"] == "operator.reloaded"
        ]
        assert (told["by"]["uid"], told["reason"], told["count"]) == (
            os.getuid(),
            "bob's firm is gone",
            1,
        )
        os.kill(daemon.pid, signal.SIGHUP)
        by_signal = news.until("operator.reloaded")[-1]
        assert (by_signal["by"], by_signal["reason"], by_signal["count"]) == (None, "", 0)
