"""Graph asked for the groups that a token leaves out, by a strict one that answers badly too."""

from uuid import UUID

import anyio
import pytest

from sessiond.config import IssuerConfig
from sessiond.containment import Containment
from sessiond.core.errors import (
    ClientRefused,
    ConfigError,
    IssuerThrottled,
    IssuerUnavailable,
    Refusal,
    TokenRejected,
    UnusableAnswer,
)
from sessiond.core.principal import Principal
from sessiond.core.secret import Secret
from sessiond.extensions.roles import AskedSource
from sessiond.issuers.build import build_graph
from sessiond.issuers.client import Client
from sessiond.issuers.graph import NAME, GraphGroups
from sessiond.issuers.own_token import OwnToken
from tests.fake_graph import CLIENT, SECRET, FakeGraph
from tests.unit.issuers.fake import TLS, FakeNetwork, HandClock, IssuerStub
from tests.unit.jwt.forge import NOW

pytestmark = pytest.mark.anyio
OID = "a11ce000-0000-4000-8000-000000000001"
ALICE = Principal(issuer="corp", subject=OID.upper(), name="alice@corp.example")


def group(number: int) -> str:
    return str(UUID(int=number))


GROUPS = [group(number) for number in range(45)]


@pytest.fixture
def graph() -> FakeGraph:
    return FakeGraph({OID: {group(3), group(44), group(1000)}})


def graph_issuer(graph: FakeGraph) -> IssuerStub:
    """Return a stub that keeps nothing of its own: all that is asked goes to Graph."""
    stub = IssuerStub(HandClock())
    stub._answer = graph.answer  # type: ignore[assignment, method-assign]
    return stub


def asking(graph: FakeGraph, *, groups: list[str] = GROUPS, secret: str = SECRET) -> GraphGroups:
    stub = graph_issuer(graph)
    http = stub.http()
    client = Client(client_id=CLIENT, method="basic", secret=Secret(secret), clock=stub.clock)
    token = OwnToken(
        http=http,
        discovery=stub.discovery(http, token=f"{graph.url}/token"),
        client=client,
        scope=f"{graph.url}/.default",
        clock=stub.clock,
    )
    return GraphGroups(http=http, token=token, endpoint=graph.url, groups=groups)


async def held(source: GraphGroups, principal: Principal = ALICE) -> list[str]:
    return sorted((await source.roles(principal, now=NOW)).roles)


async def test_the_configured_groups_alone_are_asked_for_twenty_at_a_time(graph: FakeGraph) -> None:
    assert await held(asking(graph)) == [group(3), group(44)]
    assert sorted(map(len, graph.checks)) == [5, 20, 20]
    assert sorted(each for ids in graph.checks for each in ids) == GROUPS
    assert graph.grants == 1


async def test_a_user_in_none_of_them_has_none(graph: FakeGraph) -> None:
    graph.members[OID] = {group(1000)}
    assert await held(asking(graph)) == []


async def test_an_answer_in_capitals_is_the_same_and_another_group_is_none(
    graph: FakeGraph,
) -> None:
    upper = "ABCDEF00-0000-4000-8000-000000000001"
    source = asking(graph, groups=[upper.lower()])
    graph.fail("check", body=f'{{"value": ["{upper}", "{group(7)}"]}}'.encode())
    assert await held(source) == [upper.lower()]


async def test_the_parts_are_asked_at_the_same_time(graph: FakeGraph) -> None:
    source = asking(graph)
    arrived, release = list[int](), anyio.Event()
    answer = source._http._network._answering  # type: ignore[attr-defined]

    async def late(request: object) -> object:
        arrived.append(1)
        await release.wait()
        return answer(request)

    await source._token.get()
    source._http._network._answering = late  # type: ignore[attr-defined]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(held, source)
        await anyio.wait_all_tasks_blocked()
        assert len(arrived) == 3
        release.set()


async def test_a_token_that_is_over_there_is_got_anew_once(graph: FakeGraph) -> None:
    source = asking(graph)
    await held(source)
    graph.tokens.clear()
    assert await held(source) == [group(3), group(44)]
    assert graph.grants == 2
    graph.tokens.clear()
    graph.fail("check", status=401)
    with pytest.raises(ClientRefused, match=r"401 \(no code\).*graph_endpoint"):
        await held(source)
    assert graph.grants == 3


async def test_a_missing_consent_is_said_with_what_to_do(graph: FakeGraph) -> None:
    graph.is_consented = False
    with pytest.raises(ClientRefused) as raised:
        await held(asking(graph))
    assert str(raised.value) == (
        "Graph answered 403 (Authorization_RequestDenied) to checkMemberGroups: our client may not "
        "ask, wanted 200: give it the application permissions User.ReadBasic.All and "
        "GroupMember.Read.All of Microsoft Graph, with the administrator's consent"
    )


async def test_a_wrong_secret_asks_graph_nothing(graph: FakeGraph) -> None:
    with pytest.raises(ClientRefused, match=r"invalid_client \(AADSTS7000215\)"):
        await held(asking(graph, secret="another"))
    assert graph.checks == []


async def test_a_user_whom_the_tenant_does_not_know_is_refused(graph: FakeGraph) -> None:
    graph.members.clear()
    with pytest.raises(TokenRejected, match=r"groups overage.*Request_ResourceNotFound") as raised:
        await held(asking(graph))
    assert raised.value.reason is Refusal.NOROLES


async def test_a_404_of_another_kind_says_nothing_of_the_user(graph: FakeGraph) -> None:
    graph.fail("check", status=404, body=b'{"error": {"code": "ResourceNotFound"}}')
    with pytest.raises(UnusableAnswer, match="ResourceNotFound"):
        await held(asking(graph))


async def test_a_subject_that_is_no_object_id_is_in_no_url(graph: FakeGraph) -> None:
    for subject in ("alice", f"{OID}/../{OID}", f"{OID}?", ""):
        with pytest.raises(TokenRejected, match="oid is") as raised:
            await held(asking(graph), Principal(issuer="corp", subject=subject, name="alice"))
        assert raised.value.reason is Refusal.MALFORMED
    assert graph.asked == []


async def test_a_429_is_obeyed(graph: FakeGraph) -> None:
    graph.fail("check", status=429, retry_after=21)
    with pytest.raises(IssuerThrottled) as raised:
        await held(asking(graph))
    assert raised.value.retry_after == 21.0


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"{}"),
        (200, b'{"value": null}'),
        (200, b'{"value": "00000000-0000-0000-0000-000000000003"}'),
        (200, b'{"value": [3]}'),
        (200, b'{"value": [], "@odata.nextLink": "https://graph.test/more"}'),
        (200, b"[]"),
        (200, b"<html>"),
        (200, b""),
        (302, b""),
        (400, b'{"error": {"code": "Request_BadRequest"}}'),
        (400, b'{"error": "invalid_request"}'),
        (403, b'{"error": {"code": "a text with a token"}}'),
        (405, b""),
        (415, b'{"error": {"code": ["x"]}}'),
        (500, b""),
        (503, b'{"error": {"code": "ServiceUnavailable"}}'),
    ],
)
async def test_any_other_answer_is_no_verdict_and_never_fewer_groups(
    graph: FakeGraph, status: int, body: bytes
) -> None:
    source = asking(graph)
    graph.fail("check", times=1, status=status, body=body)  # the others are answered well
    with pytest.raises(IssuerUnavailable) as raised:
        await held(source)
    assert "a text" not in str(raised.value)
    assert await held(source) == [group(3), group(44)]


def table(**keys: object) -> IssuerConfig:
    given = {
        "name": "corp",
        "kind": "entra",
        "issuer": "https://login.test/tenant/v2.0",
        "verify": "jwt",
        "token_endpoint": "https://graph.test/token",
        "client_id": CLIENT,
        "groups": "graph",
        "graph_endpoint": "https://graph.test/",
        "roles": {group(3).upper(): "trader", "kdb.read": "reader"},
    }
    return IssuerConfig(**{**given, **keys})  # type: ignore[arg-type]


def built(graph: FakeGraph, *, secret: str | None = SECRET, **keys: object) -> AskedSource:
    return build_graph(
        table(**keys),
        client_secret=None if secret is None else Secret(secret),
        cache=30.0,
        clock=HandClock(),
        tls=TLS,
        containment=Containment(),
        network=FakeNetwork(graph.answer),
    )


async def test_a_table_makes_a_source_that_is_asked_as_others_are(graph: FakeGraph) -> None:
    source = built(graph)
    assert (source.name, source.state.plugin) == (NAME, "")
    async with anyio.create_task_group() as tasks:
        source.begin(tasks)
        for _ in range(2):
            assert list((await source.answer(ALICE, now=NOW)).granted.roles) == [group(3)]
        await source.stop()
        tasks.cancel_scope.cancel()
    assert graph.checks == [[group(3)]]


def test_without_a_secret_there_is_no_asking(graph: FakeGraph) -> None:
    with pytest.raises(
        ConfigError, match=r"issuer\[corp\]\.groups is graph: client_secret_file is"
    ):
        built(graph, secret=None)
