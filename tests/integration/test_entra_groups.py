"""Groups that Entra leaves out of a token, asked of Microsoft Graph: what users and operators see.

The issuer has Entra's shape, its layout and claims; Graph is a strict one on loopback.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sessiond.testing import FakeProcess
from tests.fake_graph import SECRET, FakeGraph
from tests.integration.conftest import Connected, Start
from tests.integration.operating import Operator
from tests.integration.test_login import pair
from tests.integration.test_sessionctl_doctor import doctor
from tests.issuer.running import ALICE, BOB, RunningIssuer
from tests.running_daemon import RunningDaemon, configuration

OID = "a11ce000-0000-4000-8000-000000000001"  # alice's
BOBS = "b0b00000-0000-4000-8000-000000000002"
TRADERS = "aaaaaaaa-0000-4000-8000-000000000001"
AUDITORS = "aaaaaaaa-0000-4000-8000-000000000002"
ELSEWHERE = "https://evil.example/users/all/getMemberObjects"
OVERAGE = {  # learn.microsoft.com/entra/identity-platform/access-token-claims-reference
    "_claim_names": {"groups": "src1"},
    "_claim_sources": {"src1": {"endpoint": ELSEWHERE}},
}
SCOPE = "openid profile offline_access api://kdb/session.login"
EARLY = "share = 0.2\njitter = 0.0"


@pytest.fixture
def graph() -> Iterator[FakeGraph]:
    graph = FakeGraph({OID: {TRADERS, "aaaaaaaa-0000-4000-8000-000000000009"}, BOBS: set()})
    with graph.serve():
        yield graph


@pytest.fixture
def entra(tls_issuer: RunningIssuer) -> RunningIssuer:
    """The issuer, which has no room for alice's groups in her tokens, but for bob's."""
    tls_issuer.control.change_user(ALICE, claims=OVERAGE)
    tls_issuer.control.change_user(BOB, claims={"groups": [AUDITORS]})
    return tls_issuer


def table(*extra: str) -> str:
    lines = [
        'kind = "entra"\nverify = "jwt"\naudience = ["api://kdb"]',
        'refresh_client_id = "qstudio"\nrefresh_scope = "api://kdb/session.login"',
        'roles_claim = ["groups"]\ninsecure_http = true',
        *extra,
        f'[issuer.roles]\n"{TRADERS}" = "trader"\n"{AUDITORS}" = "auditor"',
    ]
    return "\n".join(lines)


def asking(graph: FakeGraph, *extra: str) -> str:
    return table(
        f'groups = "graph"\ngraph_endpoint = "{graph.url}"\ntoken_endpoint = "{graph.url}/token"',
        'client_secret_file = "{folder}/graph.secret"',
        *extra,
    )


@pytest.fixture(autouse=True)
def _secret(folder: Path) -> None:
    file = folder / "graph.secret"
    file.write_text(SECRET)
    file.chmod(0o600)


def access(issuer: RunningIssuer, user: str = ALICE) -> str:
    token: str = issuer.tokens(user, scope=SCOPE)["access_token"]
    return token


def refused(q: FakeProcess, user: str, token: str) -> str:
    reason: str = q.connect(user, token, handle=50)["reason"]
    return reason


def test_the_groups_are_asked_of_graph_and_become_roles(
    entra: RunningIssuer, graph: FakeGraph, start: Start, process: Connected
) -> None:
    q = process(start(configuration(entra, extra=asking(graph))))
    assert q.log_in(ALICE, access(entra))["roles"] == ["trader"]
    assert graph.checks == [[TRADERS, AUDITORS]]
    assert q.connect(ALICE, access(entra), handle=6)["roles"] == ["trader"]  # cache_asked
    assert (len(graph.checks), graph.grants) == (1, 1)


def test_whose_token_has_the_groups_waits_for_nobody(
    entra: RunningIssuer, graph: FakeGraph, start: Start, process: Connected
) -> None:
    graph.fail("check", hang=True)
    q = process(start(configuration(entra, extra=asking(graph))))
    assert q.log_in(BOB, access(entra, BOB))["roles"] == ["auditor"]
    assert graph.asked == []


@pytest.mark.parametrize("claims", [OVERAGE, {"hasgroups": True}, {"hasgroups": "true"}])
def test_where_nobody_is_to_be_asked_the_login_is_refused_and_says_why(
    entra: RunningIssuer, start: Start, process: Connected, claims: dict[str, object]
) -> None:
    entra.control.change_user(ALICE, claims=claims)
    daemon = start(configuration(entra, extra=table('default_roles = ["all"]')))
    q = process(daemon)
    assert refused(q, ALICE, access(entra)) == "noroles"
    (told,) = daemon.logged(1, event="login", reason="noroles")
    assert "groups overage" in told["detail"]
    assert q.log_in(BOB, access(entra, BOB))["roles"] == ["all", "auditor"]


def test_it_is_explained_that_groups_were_left_out_and_who_gave_a_role_in_their_place(
    entra: RunningIssuer, graph: FakeGraph, start: Start
) -> None:
    for text, reason in ((table('default_roles = ["all"]'), "noroles"), (asking(graph), "")):
        daemon = start(configuration(entra, extra=text))
        with Operator(daemon) as operator:
            explained = operator.explain(ALICE, access(entra))
        assert (explained["accepted"], explained["reason"]) == (not reason, reason)
        assert daemon.stop() == 0
        if reason:
            (failed,) = [each for each in explained["checks"] if each["outcome"] == "failed"]
            assert "groups overage" in failed["detail"]
        else:
            assert explained["access"]["assigned"] == {"trader": [f"graph group {TRADERS}"]}


def test_where_groups_are_not_looked_at_their_absence_is_nothing(
    entra: RunningIssuer, start: Start, process: Connected
) -> None:
    extra = table().replace('["groups"]', '["roles"]')
    extra = extra.replace("[issuer.roles]", '[issuer.roles]\ntrader = "seller"')
    q = process(start(configuration(entra, extra=extra)))
    assert q.log_in(ALICE, access(entra))["roles"] == ["seller"]


def test_a_user_in_no_configured_group_has_the_default_roles_alone(
    entra: RunningIssuer, graph: FakeGraph, start: Start, process: Connected
) -> None:
    graph.members[OID] = {"aaaaaaaa-0000-4000-8000-000000000009"}
    extra = asking(graph, 'default_roles = ["all"]')
    q = process(start(configuration(entra, extra=extra)))
    assert q.log_in(ALICE, access(entra))["roles"] == ["all"]


def test_a_required_role_may_be_that_of_a_group(
    entra: RunningIssuer, graph: FakeGraph, start: Start, process: Connected
) -> None:
    extra = asking(graph, 'default_roles = ["all"]\nrequire_role = true')
    daemon = start(configuration(entra, extra=extra, login="cache_asked = 0.0"))
    q = process(daemon)
    assert q.log_in(ALICE, access(entra))["roles"] == ["all", "trader"]
    graph.members[OID] = set()
    assert refused(q, ALICE, access(entra)) == "noroles"
    (told,) = daemon.logged(1, event="login", reason="noroles")
    assert "Microsoft Graph" in told["detail"]


def fails(
    q: FakeProcess, daemon: RunningDaemon, entra: RunningIssuer, graph: FakeGraph, text: str
) -> None:
    """See logins fail until nobody waits for Graph any more, and be told why."""
    assert [refused(q, ALICE, access(entra)) for _ in range(3)] == ["unavailable"] * 3
    (told,) = daemon.logged(1, event="role source breaker open", role_source="Microsoft Graph")
    assert text in told["error"]
    asked = len(graph.checks)
    assert refused(q, ALICE, access(entra)) == "unavailable"
    assert len(graph.checks) == asked


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ({"status": 503}, "answered 503"),
        ({"hang": True}, "did not answer within 0.5 s"),
        ({"drop": True}, "gave no answer"),
        ({"status": 429, "retry_after": 20}, "asked again in 20 s"),
        ({"body": b"<html>"}, "without a JSON object"),
        ({"status": 403, "body": b'{"error": {"code": "Authorization_RequestDenied"}}'}, "consent"),
    ],
)
def test_while_graph_gives_no_answer_nobody_waits_sessions_stay_and_operators_see(
    entra: RunningIssuer,
    graph: FakeGraph,
    start: Start,
    process: Connected,
    fault: dict[str, object],
    text: str,
) -> None:
    text_of = configuration(entra, extra=asking(graph, "timeout = 0.5"), login="cache_asked = 0.0")
    daemon = start(text_of)
    q = process(daemon)
    session = q.log_in(ALICE, access(entra))["session"]
    graph.fail("check", **fault)  # type: ignore[arg-type]
    fails(q, daemon, entra, graph, text)
    assert [each["session"] for each in q.sessions()] == [session]
    assert q.connect(BOB, access(entra, BOB), handle=6)["roles"] == ["auditor"]
    with Operator(daemon) as operator:
        status, metrics = operator.get("/v1/status"), operator.ask("GET", "/metrics").text
    (issuer,), (source,) = status["issuers"], status["role_sources"]
    assert (issuer["healthy"], issuer["trouble"]) == (True, "")
    named = {key: source[key] for key in ("name", "plugin", "issuer", "healthy")}
    assert named == {"name": "Microsoft Graph", "plugin": "", "issuer": "corp", "healthy": False}
    assert text in source["last_error"]
    gauge = 'sessiond_role_source_healthy{issuer="corp",role_source="Microsoft Graph"} 0.0'
    assert gauge in metrics
    told = doctor(daemon, code=1)["role source Microsoft Graph"]
    assert (told["outcome"], text in told["found"]) == ("wrong", True)


def test_graph_is_asked_again_by_itself_once_it_is_well(
    entra: RunningIssuer, graph: FakeGraph, start: Start, process: Connected
) -> None:
    daemon = start(configuration(entra, extra=asking(graph)))
    q = process(daemon)
    graph.fail("token", error="invalid_client", status=401)
    fails(q, daemon, entra, graph, "the secret")
    graph.mend()
    daemon.logged(1, event="role source breaker closed", role_source="Microsoft Graph")
    while (answer := q.connect(ALICE, access(entra), handle=6))["reason"] == "unavailable":
        pass  # the trial that found Graph well has yet to tell the gate
    assert answer["roles"] == ["trader"]


def test_a_refresh_asks_again_and_changed_groups_are_pushed(
    entra: RunningIssuer, graph: FakeGraph, start: Start, process: Connected
) -> None:
    entra.control.set_access_token_lifetime(10)
    text = configuration(entra, extra=asking(graph), refresh=EARLY, login="cache_asked = 0.0")
    q = process(start(text))
    assert q.log_in(ALICE, pair(entra.tokens(scope=SCOPE)))["roles"] == ["trader"]
    graph.members[OID] = {AUDITORS}
    pushes = [q.next_push() for _ in range(2)]
    assert {push["event"] for push in pushes} == {"refreshed", "roles"}
    assert [push["roles"] for push in pushes if push["event"] == "roles"] == [["auditor"]]


def test_a_refresh_while_graph_is_away_keeps_the_session_and_is_made_up_for(
    entra: RunningIssuer, graph: FakeGraph, start: Start, process: Connected
) -> None:
    entra.control.set_access_token_lifetime(30)
    early = "share = 0.05\njitter = 0.0"
    text = configuration(entra, extra=asking(graph), refresh=early, login="cache_asked = 0.0")
    q = process(start(text))
    session = q.log_in(ALICE, pair(entra.tokens(scope=SCOPE)))["session"]
    graph.fail("check", times=2, status=503)
    told = q.next_push()
    assert (told["event"], told["session"]) == ("refreshed", session)
    assert [each["roles"] for each in q.sessions()] == [["trader"]]
