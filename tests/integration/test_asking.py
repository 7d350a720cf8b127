"""Issuers that are asked about each token: introspection, UserInfo, Graph's /me."""

from pathlib import Path

import pytest

from sessiond.qipc import Value
from sessiond.testing import FakeProcess
from sessiond.testing.calls import connect_call
from sessiond.testing.plain import plain_dict
from tests.integration.conftest import Connected, Start
from tests.integration.operating import Operator
from tests.integration.test_login import pair
from tests.issuer.control import ALWAYS
from tests.issuer.running import ALICE, BOB, RunningIssuer
from tests.peers import PeerFarm
from tests.running_daemon import RunningDaemon, configuration

OPAQUE = "qstudio-opaque"
INTROSPECTION = """
verify = "introspection"
client_secret_file = "{folder}/secret"
user_claim = "sub"
refresh_client_id = "qstudio-opaque"
"""
USERINFO = 'verify = "userinfo"\n'
GRAPH = """
verify = "userinfo"
also_issued_as = ["https://sts.windows.net/11111111-2222-4333-8444-555555555555/"]
user_claim = "userPrincipalName"
subject_claim = "id"
refresh_client_id = "qstudio-opaque"
userinfo_endpoint = "ME"
"""


@pytest.fixture
def introspecting(strict_issuer: RunningIssuer, start: Start, folder: Path) -> RunningDaemon:
    """A daemon whose issuer is asked by introspection. Its users are called by their subject."""
    keep_secret(folder)
    return start(configuration(strict_issuer, extra=INTROSPECTION, login="waiting = 8"))


def keep_secret(folder: Path) -> None:
    """Write what INTROSPECTION has the daemon's client prove itself with."""
    secret = folder / "secret"
    secret.write_text("sessiond-secret\n")
    secret.chmod(0o600)


def subject(issuer: RunningIssuer, token: str) -> str:
    found: str = issuer.introspect(token)["sub"]
    return found


def together(processes: list[FakeProcess], calls: list[Value]) -> list[dict[str, object]]:
    """Let every process call at once; return the answers."""
    for process, call in zip(processes, calls, strict=True):
        process.ask(call)
    return [plain_dict(process.answer()) for process in processes]


def test_two_hundred_logins_with_one_token_cost_one_introspection(
    strict_issuer: RunningIssuer, introspecting: RunningDaemon
) -> None:
    token = strict_issuer.tokens(client=OPAQUE)["access_token"]
    user = subject(strict_issuer, token)
    strict_issuer.control.fault("/introspect", "delay", delay_ms=300)
    with PeerFarm(introspecting.address, 200) as farm:
        processes = [FakeProcess(each) for each in farm.sockets]
        for process in processes:
            process.hello()
        calls = [connect_call(user, f"bearer:{token}") for _ in processes]
        answers = together(processes, calls)
    assert [answer["ok"] for answer in answers] == [True] * 200
    assert len({answer["session"] for answer in answers}) == 200
    assert strict_issuer.control.calls("/introspect") == 1


def test_two_hundred_different_logins_are_all_let_in(
    strict_issuer: RunningIssuer, start: Start, folder: Path
) -> None:
    keep_secret(folder)  # a deadline of its own: how long it takes is for the bench to say
    daemon = start(configuration(strict_issuer, extra=INTROSPECTION, login="deadline = 20.0"))
    tokens = [strict_issuer.tokens(client=OPAQUE)["access_token"] for _ in range(200)]
    user = subject(strict_issuer, tokens[0])
    strict_issuer.control.fault("/introspect", "delay", delay_ms=50, count=200)
    with PeerFarm(daemon.address, 200) as farm:
        processes = [FakeProcess(each) for each in farm.sockets]
        for process in processes:
            process.hello()
        answers = together(processes, [connect_call(user, f"bearer:{each}") for each in tokens])
    assert [answer["ok"] for answer in answers] == [True] * 200
    assert strict_issuer.control.calls("/introspect") == 200


def test_a_refresh_token_presented_as_an_access_token_is_refused(
    strict_issuer: RunningIssuer, introspecting: RunningDaemon, process: Connected
) -> None:
    tokens = strict_issuer.tokens(client=OPAQUE)
    user = subject(strict_issuer, tokens["access_token"])
    q = process(introspecting)
    assert q.connect(user, f"bearer:{tokens['refresh_token']}")["reason"] == "wrongtype"
    assert q.connect(user, "bearer:made-up-token-of-nobody")["reason"] == "inactive"


def test_a_process_that_floods_is_throttled_and_another_is_not(
    strict_issuer: RunningIssuer, introspecting: RunningDaemon
) -> None:
    tokens = [strict_issuer.tokens(client=OPAQUE)["access_token"] for _ in range(13)]
    user = subject(strict_issuer, tokens[0])
    strict_issuer.control.fault("/introspect", "hold", count=100)
    with PeerFarm(introspecting.address, 2) as farm:
        flooding, quiet = (FakeProcess(each) for each in farm.sockets)
        for q in (flooding, quiet):
            q.hello()
        for handle, token in enumerate(tokens[:12], 5):
            flooding.ask(connect_call(user, f"bearer:{token}", handle))
        strict_issuer.control.wait_for_calls("/introspect", 8)
        quiet.ask(connect_call(user, f"bearer:{tokens[12]}"))
        strict_issuer.control.wait_for_calls("/introspect", 9)
        strict_issuer.control.clear_faults()
        reasons = [plain_dict(flooding.answer())["reason"] for _ in range(12)]
        assert reasons == [""] * 8 + ["throttled"] * 4
        assert plain_dict(quiet.answer())["ok"]


def test_the_status_says_how_many_logins_wait_for_their_turn_at_the_issuer(
    strict_issuer: RunningIssuer, start: Start, process: Connected, folder: Path
) -> None:
    keep_secret(folder)
    daemon = start(configuration(strict_issuer, extra=f"{INTROSPECTION}\nconcurrency = 1"))
    tokens = [strict_issuer.tokens(client=OPAQUE)["access_token"] for _ in range(3)]
    user = subject(strict_issuer, tokens[0])
    strict_issuer.control.fault("/introspect", "hold", count=100)
    q = process(daemon)
    for handle, token in enumerate(tokens, 5):
        q.ask(connect_call(user, f"bearer:{token}", handle))
    with Operator(daemon) as operator:
        while operator.get("/v1/status")["queues"]["logins"] != 2:
            pass  # the test's timeout ends this
        strict_issuer.control.clear_faults()
        assert [plain_dict(q.answer())["ok"] for _ in tokens] == [True] * 3
        assert operator.get("/v1/status")["queues"] == {"table": 0, "logins": 0}


def test_recheck_ends_a_session_that_the_issuer_no_longer_vouches_for(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    token = strict_issuer.tokens(client=OPAQUE, scope="openid profile")["access_token"]
    q = process(start(configuration(strict_issuer, extra=USERINFO, refresh="recheck = 0.5")))
    answer = q.log_in(ALICE, f"bearer:{token}")
    strict_issuer.control.disable(ALICE)
    told = q.next_push()
    assert (told["event"], told["reason"]) == ("revoked", "inactive")
    assert told["session"] == answer["session"]


def test_graph_tokens_log_in_through_userinfo(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    me = GRAPH.replace("ME", strict_issuer.graph_me_endpoint)
    q = process(start(configuration(strict_issuer, extra=me)))
    answer = q.log_in(ALICE, strict_issuer.control.graph_token(ALICE))
    assert answer["user"] == ALICE
    refused = q.connect(BOB, strict_issuer.control.graph_token(ALICE), 6)
    assert refused["reason"] == "usermismatch"


def test_a_graph_token_is_refused_by_jwt_and_sent_to_nobody(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    v1 = 'also_issued_as = ["https://sts.windows.net/11111111-2222-4333-8444-555555555555/"]'
    lenient = f'verify = "jwt"\naudience = ["https://graph.microsoft.com"]\ntyp = ["JWT"]\n{v1}'
    q = process(start(configuration(strict_issuer, extra=lenient)))
    graph = strict_issuer.control.graph_token(ALICE)
    assert q.connect(ALICE, graph)["reason"] in {"malformed", "badsignature", "wrongtype"}
    assert strict_issuer.control.calls("/me") == 0
    assert strict_issuer.control.calls("/userinfo") == 0


def test_a_token_goes_to_no_other_issuer_than_its_own(
    strict_issuer: RunningIssuer, entra_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    me = GRAPH.replace("ME", strict_issuer.graph_me_endpoint)
    one = configuration(strict_issuer, extra=me + 'users = ["*@contoso.test"]')
    other = configuration(entra_issuer, extra='users = ["*@elsewhere.test"]')
    other = other[other.index("[[issuer]]") :].replace('"corp"', '"other"')
    q = process(start(one + other))
    assert q.connect(ALICE, strict_issuer.control.graph_token(ALICE))["ok"]
    public = ("openid-configuration", "/keys")  # what the other one is asked carries no token
    assert [call for call in entra_issuer.control.take_log() if not call.endswith(public)] == []


def test_prove_by_refresh_lets_in_only_tokens_of_our_client(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    proving = f'{USERINFO}prove_by_refresh = true\nrefresh_client_id = "{OPAQUE}"'
    q = process(start(configuration(strict_issuer, extra=proving)))
    ours = strict_issuer.tokens(client=OPAQUE, scope="openid profile offline_access")
    assert q.log_in(ALICE, pair(ours))["ok"]
    assert strict_issuer.control.calls("/token") == 1
    assert q.connect(ALICE, pair(ours), 6)["ok"]
    assert strict_issuer.control.calls("/token") == 1
    alone = strict_issuer.tokens(client=OPAQUE, scope="openid profile")["access_token"]
    assert q.connect(ALICE, f"bearer:{alone}", 7)["reason"] == "wrongaudience"
    stolen = strict_issuer.tokens(client=OPAQUE, scope="openid profile")["access_token"]
    refresh = strict_issuer.tokens(client="qstudio")["refresh_token"]
    assert q.connect(ALICE, f"{stolen};{refresh}", 8)["reason"] == "wrongaudience"


def test_a_process_that_floods_with_proofs_makes_no_other_process_wait_for_them(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    proving = f'{USERINFO}prove_by_refresh = true\nrefresh_client_id = "{OPAQUE}"'
    daemon = start(
        configuration(
            strict_issuer,
            extra=proving,
            login="deadline = 4.0\nwaiting = 100",
            refresh="concurrency = 2",
        )
    )
    scope = "openid profile offline_access"
    flood = [pair(strict_issuer.tokens(client=OPAQUE, scope=scope)) for _ in range(50)]
    tokens = pair(strict_issuer.tokens(BOB, client=OPAQUE, scope=scope))
    strict_issuer.control.fault("/token", "delay", count=ALWAYS, delay_ms=300)
    with PeerFarm(daemon.address, 2) as farm:
        flooding, other = (FakeProcess(each) for each in farm.sockets)
        flooding.hello()
        other.hello()
        for handle, each in enumerate(flood, start=5):
            flooding.ask(connect_call(ALICE, each, handle))
        assert plain_dict(flooding.answer())["ok"]  # the others wait now
        assert other.connect(BOB, tokens)["ok"]
        assert strict_issuer.control.calls("/token") < 50
