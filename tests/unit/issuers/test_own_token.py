"""Our own client's token: got once for all, kept until shortly before its end."""

import anyio
import pytest

from sessiond.core.errors import ClientRefused, IssuerThrottled, IssuerUnavailable, UnusableAnswer
from sessiond.core.secret import Secret
from sessiond.issuers.client import Client
from sessiond.issuers.own_token import OwnToken
from tests.unit.issuers.fake import IssuerStub, form_of

pytestmark = pytest.mark.anyio
SCOPE = "https://graph.microsoft.com/.default"


def own_token(issuer: IssuerStub, *, token_endpoint: str = "") -> OwnToken:
    http = issuer.http()
    client = Client(client_id="us", method="post", secret=Secret("s3cret"), clock=issuer.clock)
    discovery = issuer.discovery(http, token=token_endpoint)
    return OwnToken(http=http, discovery=discovery, client=client, scope=SCOPE, clock=issuer.clock)


def gives(issuer: IssuerStub, token: str, *, expires_in: object = 3599, **members: object) -> None:
    answer = {"token_type": "Bearer", "access_token": token, "expires_in": expires_in, **members}
    issuer.publishes()
    issuer.says("/token", {name: value for name, value in answer.items() if value is not None})


async def test_it_is_asked_for_with_our_own_credentials(issuer: IssuerStub) -> None:
    gives(issuer, "one")
    assert (await own_token(issuer).get()).reveal() == "one"
    assert form_of(issuer.requests[-1]) == {
        "grant_type": "client_credentials",
        "scope": SCOPE,
        "client_id": "us",
        "client_secret": "s3cret",
    }


@pytest.mark.parametrize(
    ("expires_in", "good_for"),
    [(3599, 3299.0), ("3599", 3299.0), (400, 200.0), (1e9, 86100.0), (None, 300.0)],
)
async def test_it_is_kept_until_shortly_before_its_end(
    issuer: IssuerStub, expires_in: object, good_for: float
) -> None:
    gives(issuer, "one", expires_in=expires_in)
    token = own_token(issuer)
    await token.get()
    gives(issuer, "two")
    issuer.clock.pass_(good_for - 1)
    assert (await token.get()).reveal() == "one"
    issuer.clock.pass_(1)
    assert (await token.get()).reveal() == "two"
    assert issuer.asked("/token") == 2


async def test_one_request_gets_it_for_all_who_wait(issuer: IssuerStub) -> None:
    gives(issuer, "one")
    token, found = own_token(issuer), list[str]()

    async def get() -> None:
        found.append((await token.get()).reveal())

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(get)
    assert (found, issuer.asked("/token")) == (["one"] * 20, 1)


async def test_one_that_was_refused_is_got_anew_once_for_all_who_had_it(issuer: IssuerStub) -> None:
    gives(issuer, "one")
    token = own_token(issuer)
    refused = await token.get()
    gives(issuer, "two")
    assert (await token.get(refused=refused)).reveal() == "two"
    assert (await token.get(refused=refused)).reveal() == "two"
    assert issuer.asked("/token") == 2


@pytest.mark.parametrize("error", ["invalid_client", "unauthorized_client"])
async def test_credentials_that_are_not_taken_are_ours_to_mend(
    issuer: IssuerStub, error: str
) -> None:
    issuer.publishes()
    issuer.says("/token", {"error": error, "error_codes": [7000215]}, status=401)
    with pytest.raises(ClientRefused, match=rf"{error} \(AADSTS7000215\), wanted.*the secret"):
        await own_token(issuer).get()


@pytest.mark.parametrize(
    ("status", "content", "kind"),
    [
        (400, {"error": "invalid_scope"}, UnusableAnswer),
        (400, {}, UnusableAnswer),
        (400, b"<html>", UnusableAnswer),
        (200, b"<html>", UnusableAnswer),
        (200, {}, UnusableAnswer),
        (200, {"access_token": "t", "token_type": "pop"}, UnusableAnswer),
        (429, {}, IssuerThrottled),
        (500, {}, IssuerUnavailable),
    ],
)
async def test_any_other_answer_is_no_token(
    issuer: IssuerStub, status: int, content: object, kind: type[IssuerUnavailable]
) -> None:
    issuer.publishes()
    issuer.says("/token", content, status=status)
    token = own_token(issuer)
    with pytest.raises(IssuerUnavailable) as raised:
        await token.get()
    assert type(raised.value) is kind
    gives(issuer, "one")
    assert (await token.get()).reveal() == "one"


async def test_it_is_not_sent_where_a_token_may_not_go(issuer: IssuerStub) -> None:
    with pytest.raises(IssuerUnavailable, match="endpoint"):
        await own_token(issuer, token_endpoint="http://login.example.com/token").get()
    assert issuer.requests == []
