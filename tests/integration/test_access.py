"""Who may do what, with real tokens of a real issuer, as q processes and operators see it."""

import os
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from sessiond.testing import FakeProcess, QReplyError
from tests.integration.conftest import Connected, Start
from tests.integration.operating import Operator, watching
from tests.integration.test_login import pair
from tests.integration.test_reload import reload, write
from tests.integration.test_role_sources import AT_ONCE, grant
from tests.issuer.running import ALICE, BOB, RunningIssuer
from tests.peers import PeerFarm
from tests.running_daemon import RunningDaemon, configuration

ROLES = '[issuer.roles]\ntrader = "trading"\n'
ADMIN = '[access]\nprotected_roles = ["admin*"]\n'
OFTEN = "share = 0.1\njitter = 0.0"


def given(*roles: str, users: str = "alice*", issuers: str = "*") -> str:
    """Return a local grant."""
    listed = ", ".join(f'"{each}"' for each in roles)
    return f'[[access.grant]]\nusers = ["{users}"]\nissuers = ["{issuers}"]\nroles = [{listed}]\n'


def ceiling(name: str = "*", **keys: Any) -> str:
    """Return a ceiling; a value is as TOML has it."""
    lines = [f"{key} = {value}" for key, value in keys.items()]
    return "\n".join(["[[access.process]]", f'name = "{name}"', *lines, ""])


def only(role: str) -> str:
    return ceiling(roles=f'["{role}"]')


def names(issuer: RunningIssuer, *access: str, extra: str = "", **sections: str) -> str:
    return configuration(issuer, extra=extra + ROLES, **sections) + "".join(access)


def bearer(issuer: RunningIssuer, user: str = ALICE) -> str:
    token: str = issuer.tokens(user)["access_token"]
    return token


def roles_of(q: FakeProcess) -> list[list[str]]:
    return [each["roles"] for each in q.sessions()]


def digest(daemon: RunningDaemon) -> str:
    """Return what `sha256sum` says of the file that the daemon read."""
    return sha256((daemon.folder / "config.toml").read_bytes()).hexdigest()


def test_a_protected_role_comes_from_no_token_and_no_role_source_but_from_here_alone(
    strict_issuer: RunningIssuer, start: Start, process: Connected, folder: Path
) -> None:
    grant(folder, f"{ALICE},Admin", f"{ALICE},support", f"{BOB},ADMIN3")
    strict_issuer.control.change_user(ALICE, roles=["trader", "admin1"])
    extra = 'role_names = ["adm*"]\n[issuer.roles]\ntrader = "trading"\n'
    tables = ADMIN + AT_ONCE
    daemon = start(configuration(strict_issuer, extra=extra) + tables)
    q = process(daemon)
    assert q.connect(ALICE, bearer(strict_issuer))["roles"] == ["support", "trading"]
    assert q.connect(BOB, bearer(strict_issuer, BOB), 6)["reason"] == "noroles"
    reload(daemon, configuration(strict_issuer, extra=extra) + tables + given("Admin"))
    assert q.log_in(ALICE, bearer(strict_issuer), 7)["roles"] == ["Admin", "support", "trading"]
    with watching(daemon, after=0) as stream:
        opened = stream.until("session.opened")[-1]
    assert opened["because"] == {
        "roles": {
            "Admin": ["access.grant[1]"],
            "support": ["role source csv-roles"],
            "trading": ["claim roles: trader"],
        },
        "cut": [],
    }
    assert opened["configuration"] == digest(daemon)


def test_a_protected_role_alone_does_not_fulfil_require_role_and_a_grant_does(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    strict_issuer.control.change_user(ALICE, roles=["admin"])
    required = 'require_role = true\nrole_names = ["admin"]\n'
    daemon = start(names(strict_issuer, ADMIN, extra=required))
    q = process(daemon)
    assert q.connect(ALICE, bearer(strict_issuer))["reason"] == "noroles"
    reload(daemon, names(strict_issuer, ADMIN, given("reader"), extra=required))
    assert q.connect(ALICE, bearer(strict_issuer), 6)["roles"] == ["reader"]


def test_a_ceiling_drops_roles_and_who_loses_all_of_them_is_not_let_in(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    tables = [ceiling("gw*", roles='["TRAD*"]'), ceiling("rdb*", roles='["nothing"]')]
    daemon = start(names(strict_issuer, given("admin"), *tables))
    reasons = {}
    for name in ("gw1", "RDB1", "other"):
        with FakeProcess(daemon.address, name=name) as q:
            q.hello()
            answer = q.connect(ALICE, bearer(strict_issuer))
            reasons[name] = answer["roles"] or answer["reason"]
            assert q.connect(BOB, bearer(strict_issuer, BOB), 6)["ok"]  # he had none to lose
    assert reasons == {"gw1": ["trading"], "RDB1": "noroles", "other": ["admin", "trading"]}
    *_, told = daemon.logged(1, event="login", reason="noroles")
    assert "cut by the ceiling" in told["detail"]


@pytest.mark.parametrize("keys", [{"users": '["bob*"]'}, {"issuers": '["other"]'}])
def test_who_is_not_let_in_at_a_process_is_told_so(
    strict_issuer: RunningIssuer, start: Start, keys: dict[str, str]
) -> None:
    other = '[[issuer]]\nname = "other"\nissuer = "https://other.example.com/"\nverify = "jwt"\n'
    other += 'audience = ["a"]\nusers = ["*.example"]\n'
    text = names(strict_issuer, other, ceiling("gw*", **keys), extra='users = ["*.test"]\n')
    daemon = start(text)
    for name, reason in (("gw1", "notallowed"), ("rdb1", "")):
        with FakeProcess(daemon.address, name=name) as q:
            q.hello()
            assert q.connect(ALICE, bearer(strict_issuer))["reason"] == reason


def test_a_process_asks_when_and_how_somebody_signed_in_at_login_and_at_renewal(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    daemon = start(names(strict_issuer, ceiling(max_age=60, acr='["phr", "phrh"]')))
    q, now = process(daemon), int(time.time())
    said: list[dict[str, Any]] = [
        {"acr": "phr"},
        {"auth_time": now - 90, "acr": "phr"},
        {"auth_time": now, "acr": "pwd"},
    ]
    poor = []
    for each in said:
        strict_issuer.control.change_user(ALICE, claims=each)
        poor.append(bearer(strict_issuer))
        assert q.connect(ALICE, poor[-1])["reason"] == "stepup"
    strict_issuer.control.change_user(ALICE, claims={"auth_time": now, "acr": "phrh"})
    session = q.log_in(ALICE, bearer(strict_issuer))["session"]
    before = q.sessions()
    for token in poor:
        assert q.renew(session, token)["reason"] == "stepup"
    assert q.sessions() == before  # as it was, its lease too
    assert q.pushes == []
    assert q.renew(session, bearer(strict_issuer))["ok"]


def test_a_refresh_that_brings_other_roles_is_cut_to_the_ceiling_and_tells_the_difference(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    strict_issuer.control.set_access_token_lifetime(20)
    daemon = start(names(strict_issuer, given("admin"), ceiling(roles='["t*", "adm*"]'),
                         extra='role_names = ["*er"]\n', refresh=OFTEN))  # fmt: skip
    q, soon = process(daemon), time.monotonic() + 20
    assert q.log_in(ALICE, pair(strict_issuer.tokens()))["roles"] == ["admin", "trading"]
    strict_issuer.control.change_user(ALICE, roles=["reader", "tester"])
    pushes = [q.next_push()]
    while pushes[-1]["event"] != "roles":
        assert time.monotonic() < soon
        pushes.append(q.next_push())
    assert pushes[-1]["roles"] == ["admin", "tester"]
    assert [each["event"] for each in pushes].count("roles") == 1
    assert roles_of(q) == [["admin", "tester"]]
    strict_issuer.control.change_user(ALICE, roles=["reader", "tester", "writer"])
    assert q.next_push()["event"] == "refreshed"  # what is cut changes nothing that is told
    assert q.next_push()["event"] == "refreshed"


def test_a_reload_narrows_and_widens_what_sessions_may_do_and_drops_no_connection(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    wide = names(strict_issuer, given("admin"))
    daemon = start(wide)
    q = process(daemon)
    alice = q.log_in(ALICE, bearer(strict_issuer))
    bob = q.log_in(BOB, bearer(strict_issuer, BOB), 6)
    with watching(daemon, after=0) as stream:
        stream.until("session.opened")
        narrow = names(strict_issuer, given("admin"), only("trading"))
        reload(daemon, narrow)
        told = q.next_push()
        assert (told["event"], told["session"]) == ("roles", alice["session"])
        assert told["roles"] == ["trading"]
        changed = stream.until("session.roles")[-1]
        assert changed["because"]["cut"] == ["admin"]
        assert set(changed["because"]["roles"]) == {"admin", "trading"}
        assert changed["configuration"] == digest(daemon)
    reload(daemon, narrow + "# only a word\n")
    reload(daemon, wide)
    told = q.next_push()
    assert (told["event"], told["roles"]) == ("roles", ["admin", "trading"])
    assert q.pushes == []
    assert {each["session"] for each in q.sessions()} == {alice["session"], bob["session"]}


@pytest.mark.parametrize(
    ("table", "reason"),
    [(ceiling(users='["bob*"]'), "notallowed"), (ceiling(roles='["none"]'), "noroles")],
)
def test_a_reload_that_leaves_somebody_nothing_says_so_before_and_ends_his_session(
    strict_issuer: RunningIssuer, start: Start, process: Connected, table: str, reason: str
) -> None:
    daemon = start(names(strict_issuer))
    q = process(daemon)
    alice = q.log_in(ALICE, bearer(strict_issuer))
    q.log_in(BOB, bearer(strict_issuer, BOB), 6)
    write(daemon, names(strict_issuer, table))
    with Operator(daemon) as operator:
        tried = operator.ask("POST", "/v1/reload", json={"reason": "a test", "dry_run": True})
        assert (tried.json()["would_end"], len(q.sessions())) == ({"corp": 1}, 2)
        done = operator.ask("POST", "/v1/reload", json={"reason": "a test"}).json()
        assert (done["would_end"], done["ended"]) == ({"corp": 1}, 1)
    told = q.next_push()
    assert (told["event"], told["session"]) == ("revoked", alice["session"])
    assert told["reason"] == reason
    assert [each["user"] for each in q.sessions()] == [BOB]
    with watching(daemon, after=0) as stream:
        reloaded = stream.until("operator.reloaded")[-1]
    assert reloaded["configuration"] == digest(daemon)


def test_another_file_counts_at_the_start_for_who_was_there_before(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(names(strict_issuer, given("admin")))
    with FakeProcess(daemon.address) as q:
        q.hello()
        alice = q.log_in(ALICE, bearer(strict_issuer))["session"]
        bob = q.log_in(BOB, bearer(strict_issuer, BOB), 6)["session"]
        daemon.kill()
        write(daemon, names(strict_issuer, given("admin"), ceiling(users='["alice*"]',
                            roles='["trading"]')))  # fmt: skip
        daemon.start()
    with Operator(daemon) as operator:  # before anybody has come back
        (left,) = operator.get("/v1/sessions")["sessions"]
    assert (left["session"], left["roles"]) == (str(alice), ["trading"])
    daemon.logged(1, event="sessions judged anew", changed=1, ended=1)
    with FakeProcess(daemon.address) as q:
        q.hello()
        assert q.reconcile({5: alice, 6: bob}) == [6]
        assert roles_of(q) == [["trading"]]
        reload(daemon, names(strict_issuer, given("admin")))
        roles = {tuple(push["roles"]) for push in [q.next_push()] if push["event"] == "roles"}
        assert roles <= {("trading",), ("admin", "trading")}
        while roles_of(q) != [["admin", "trading"]]:
            q.next_push()


def test_only_its_peers_may_say_a_processs_name(strict_issuer: RunningIssuer, start: Start) -> None:
    me, nobody = f"peers = [{os.getuid()}]", "peers = [65534]"
    theirs = names(strict_issuer, ceiling("gw*", peers="[65534]"))
    daemon = start(theirs)
    with FakeProcess(daemon.address, name="GW1") as q:
        for _ in range(3):
            with pytest.raises(QReplyError, match="is not for this user: run q as"):
                q.hello()
        with pytest.raises(QReplyError, match="say hello first"):
            q.connect(ALICE, bearer(strict_issuer))
        q.hello("rdb1")  # under another name it may go on
        assert q.connect(ALICE, bearer(strict_issuer))["ok"]
    daemon.logged(1, event="process refused: not its name", process="GW1", uid=os.getuid())
    assert len([each for each in daemon.log() if each["event"] == "call refused"]) == 1
    with Operator(daemon) as operator:
        assert operator.get("/v1/status")["refused_connections"] == 1
    reload(daemon, theirs.replace(nobody, me))
    with PeerFarm(daemon.address, 1) as farm, FakeProcess(daemon.address, name="GW1") as q:
        other = FakeProcess(farm.sockets[0], name="rdb1")
        other.hello()
        q.hello()
        q.log_in(ALICE, bearer(strict_issuer))
        write(daemon, theirs)
        with Operator(daemon) as operator:
            tried = operator.ask("POST", "/v1/reload", json={"reason": "x", "dry_run": True})
            assert tried.json()["would_end"] == {"corp": 1}
        other.ping()
        reload(daemon, theirs)
        assert q.is_cut()
        daemon.logged(1, event="connection ended: not its name any more", process="GW1")
        other.ping()  # who may stay stays


def test_a_peer_who_is_not_known_here_is_named_and_nothing_changes(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(names(strict_issuer))
    write(daemon, names(strict_issuer, ceiling("gw*", peers='["no-such-user"]')))
    with Operator(daemon) as operator:
        answer = operator.ask("POST", "/v1/reload", json={"reason": "a test"})
    assert "access.process[1].peers: no user 'no-such-user' is found" in answer.text


def test_a_process_whose_connection_is_lost_with_a_push_hears_of_the_roles_when_it_is_back(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    daemon = start(names(strict_issuer, given("admin")))
    q = process(daemon)
    session = q.log_in(ALICE, bearer(strict_issuer))["session"]
    reload(daemon, names(strict_issuer))
    q.close()  # with what was pushed, unread
    again = process(daemon)
    assert again.reconcile({5: session}) == []
    push = again.next_push()
    assert (push["event"], push["session"], push["roles"]) == ("roles", session, ["trading"])
