"""Logins whose tokens a plugin verifies: the shipped one, and ones that are not as they must be."""

import os
import signal
from pathlib import Path

import pytest

from tests import canary
from tests.integration.conftest import Connected, Start
from tests.integration.minting import Mint, configuration
from tests.integration.operating import Operator
from tests.integration.plugged import put_on_path
from tests.integration.test_reload import reload, write

BROKEN = """
    import anyio
    from sessiond.api import Lease, Principal, Verdict

    class Broken:
        is_online = True

        def __init__(self, issuer, how):
            self.issuer, self.how = issuer, how

        def needs_call(self, token):
            return True

        async def verify(self, token, *, now, expires_in=None):
            if self.how == "raises":
                raise KeyError(token.reveal())
            if self.how == "cancels":
                raise anyio.get_cancelled_exc_class()
            if self.how == "leaves":
                raise SystemExit(1)
            if self.how == "hangs":
                await anyio.sleep_forever()
            claims = {"iss": "paseto.example.com", "sub": "s", "preferred_username": "alice"}
            verdict = self.issuer.verdict(claims, now=now)
            who = Principal(issuer="bank", subject="s", name="alice")
            return Verdict(principal=who, lease=verdict.lease)

        def still_valid(self, verdict):
            return True

        async def probe(self):
            raise OSError

        async def stop(self):
            print("the plugin was stopped", flush=True)

    entry = Broken
"""


def broken(how: str, *, timeout: float = 1.5) -> str:
    """Return a configuration with the plugin above, which fails in one way."""
    text = configuration(issuer=f"timeout = {timeout}").replace('"paseto"', '"acme_verifier"')
    return text.replace('key_file = "{folder}/keys"', f'how = "{how}"').replace(
        'audience = ["api://kdb"]', ""
    )


@pytest.fixture
def mint(folder: Path) -> Mint:
    mint = Mint()
    mint.publish(folder / "keys")
    return mint


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_on_path(
        tmp_path, monkeypatch, group="sessiond.verifiers", name="acme_verifier", code=BROKEN
    )


def test_a_paseto_token_logs_in_with_all_that_the_issuers_table_says(
    mint: Mint, start: Start, process: Connected
) -> None:
    keys = 'default_roles = ["everyone"]\nroles = {{ trader = "trading" }}\n'
    keys += 'attributes = {{ desk = "user_desk" }}'
    q = process(start(configuration(issuer=keys)))
    answer = q.log_in("ALICE", mint.password("alice", roles=["trader", "clerk"], desk="rates"))
    assert (answer["user"], answer["roles"]) == ("alice", ["everyone", "trading"])
    assert answer["attributes"] == {"user_desk": "rates"}
    assert [each["session"] for each in q.sessions()] == [answer["session"]]


def test_each_bad_paseto_token_is_refused_with_its_reason(
    mint: Mint, start: Start, process: Connected
) -> None:
    presented = {
        mint.password("bob"): "usermismatch",
        mint.password(lasts=-1.0): "expired",
        mint.password(nbf="2999-01-01T00:00:00Z"): "notyet",
        mint.password(aud="api://other"): "wrongaudience",
        mint.password(iss="elsewhere"): "wrongissuer",
        mint.password(exp=1): "malformed",
        Mint().password(): "badsignature",
        "bearer:v4.local.AAAA": "wrongtype",
        mint.password().removeprefix("bearer:"): "nottoken",
    }
    q = process(start(configuration()))
    reasons = {password: q.connect("alice", password)["reason"] for password in presented}
    assert reasons == presented


def test_a_session_ends_with_its_token_and_a_refresh_token_changes_nothing(
    mint: Mint, start: Start, process: Connected
) -> None:
    daemon = start(configuration())
    q = process(daemon)
    refresh = canary_refresh_token()
    answer = q.log_in("alice", f"{mint.password(lasts=3.0)};{refresh}")
    push = q.next_push()
    assert (push["event"], push["session"]) == ("expired", answer["session"])


def canary_refresh_token() -> str:
    token = "r3fr3shT0kenOfNoIssuerAtAll-0123456789-abcdef"
    canary.remember(token, "refresh_token")
    return token


def test_a_token_whose_key_was_withdrawn_is_refused_at_once(
    mint: Mint, start: Start, process: Connected, folder: Path
) -> None:
    q = process(start(configuration()))
    password = mint.password()
    assert q.connect("alice", password)["ok"]
    newer = Mint()
    newer.publish(folder / "keys")
    assert q.connect("alice", password, handle=6)["reason"] == "badsignature"
    assert q.connect("alice", newer.password(), handle=7)["ok"]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('plugin = "paseto"', 'plugin = "none"', "issuer[mint].plugin: no plugin 'none' in"),
        ("key_file =", "keyfile =", "issuer[mint].settings.keyfile is unknown; did you mean"),
        ("/keys", "/none", "issuer[mint].settings.key_file: cannot read"),
        ('audience = ["api://kdb"]', "", "without `audience`"),
    ],
)
def test_a_plugin_that_cannot_start_makes_its_issuer_unavailable_until_a_reload_starts_it(
    mint: Mint, start: Start, process: Connected, old: str, new: str, problem: str
) -> None:
    text = configuration()
    daemon = start(text.replace(old, new))
    (told,) = daemon.logged(1, event="verifier left out")
    assert told["issuer"] == "mint"
    assert problem in told["problem"]
    q = process(daemon)
    assert q.connect("alice", mint.password())["reason"] == "unavailable"
    with Operator(daemon) as operator:
        (standing,) = operator.get("/v1/status")["issuers"]
    assert not standing["healthy"]
    assert problem in standing["trouble"]
    write(daemon, text.replace(old, new) + "[log]\nlevel = 'debug'\n")
    os.kill(daemon.pid, signal.SIGHUP)  # what was missing before keeps no other change out
    daemon.logged(1, event="configuration applied", generation=2)
    assert q.connect("alice", mint.password(), handle=6)["reason"] == "unavailable"
    reload(daemon, text)
    assert q.connect("alice", mint.password(), handle=7)["ok"]
    write(daemon, text.replace(old, new))
    os.kill(daemon.pid, signal.SIGHUP)  # while it runs, it is an error as any other
    refused = daemon.logged(1, event="configuration refused")  # a line for each problem
    assert problem in refused[0]["problem"]
    assert q.connect("alice", mint.password(), handle=8)["ok"]


@pytest.mark.usefixtures("acme")
def test_a_plugin_that_fails_lets_nobody_in_and_tells_no_token(
    start: Start, process: Connected
) -> None:
    daemon = start(broken("raises"))
    q = process(daemon)
    password = Mint().password()
    for handle in range(4):
        assert q.connect("alice", password, handle=5 + handle)["reason"] == "unavailable"
    found = daemon.logged(3, event="plugin failed", plugin="acme_verifier", call="verify")
    assert found[0]["error"] == "KeyError"
    assert "acme_verifier.py:" in found[0]["at"]
    assert daemon.stop() == 0
    assert "the plugin was stopped\n" in daemon.lines


@pytest.mark.usefixtures("acme")
@pytest.mark.parametrize("how", ["cancels", "leaves"])
def test_a_plugin_ends_neither_the_daemon_nor_what_verifies_for_others(
    start: Start, process: Connected, how: str
) -> None:
    daemon = start(broken(how))
    q, password = process(daemon), Mint().password()
    for handle in range(3):
        assert q.connect("alice", password, handle=5 + handle)["reason"] == "unavailable"
    assert len(daemon.logged(3, event="plugin failed", call="verify")) == 3
    assert q.connect("alice", "not a token")["reason"] == "nottoken"
    assert daemon.stop() == 0


@pytest.mark.usefixtures("acme")
def test_a_plugin_that_hangs_gets_the_issuers_timeout_and_no_more(
    start: Start, process: Connected
) -> None:
    daemon = start(broken("hangs", timeout=0.2))
    assert process(daemon).connect("alice", Mint().password())["reason"] == "unavailable"
    daemon.logged(1, event="plugin is late", call="verify", seconds=0.2)


@pytest.mark.usefixtures("acme")
def test_a_plugin_that_vouches_for_another_issuers_user_is_not_believed(
    start: Start, process: Connected
) -> None:
    daemon = start(broken("lies"))
    assert process(daemon).connect("alice", Mint().password())["reason"] == "unavailable"
    daemon.logged(1, event="plugin failed", error="the principal is another issuer's")
