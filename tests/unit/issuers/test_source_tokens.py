"""Each grant of a source as it is sent, and what an answer is worth."""

from typing import Any

import pytest

from sessiond.core.errors import (
    IssuerThrottled,
    IssuerUnavailable,
    RefreshRefused,
    UnusableAnswer,
)
from sessiond.core.secret import Secret
from sessiond.issuers.client import Client
from sessiond.issuers.discovery import Place
from sessiond.issuers.source_tokens import (
    ACCESS_TOKEN,
    EXCHANGE,
    JWT_BEARER,
    SourceTokens,
    User,
    Wanted,
)
from sessiond.sources.source_client import SourceRefused
from tests.unit.issuers.fake import ISSUER, IssuerStub, form_of

pytestmark = pytest.mark.anyio
ANSWER = {"access_token": "token", "token_type": "Bearer", "expires_in": 300}
WANTED = Wanted(scope="quotes.read", resource="https://quotes/", audience="quotes")
US = {"client_id": "us", "client_secret": "s3cret"}


def source(issuer: IssuerStub, **members: Any) -> SourceTokens:
    async def place() -> Place:
        return Place(f"{ISSUER}token")

    client = Client(client_id="us", method="post", secret=Secret("s3cret"), clock=issuer.clock)
    parts = {"wanted": WANTED, "at": ISSUER, **members}
    return SourceTokens(http=issuer.http(), place=place, client=client, **parts)


def says(issuer: IssuerStub, *, without: str = "", status: int = 200, **members: object) -> None:
    answer = ANSWER if status == 200 else {}
    said = {name: value for name, value in {**answer, **members}.items() if name != without}
    issuer.says("/token", said, status=status)


async def test_client_credentials_are_asked_for_with_all_that_is_wanted(issuer: IssuerStub) -> None:
    says(issuer)
    tokens = await source(issuer).fetch()
    assert (tokens.access_token.reveal(), tokens.expires_in) == ("token", 300.0)
    assert form_of(issuer.requests[-1]) == {
        "grant_type": "client_credentials",
        "scope": "quotes.read",
        "resource": "https://quotes/",
        "audience": "quotes",
        **US,
    }


async def test_what_is_not_wanted_is_not_sent(issuer: IssuerStub) -> None:
    says(issuer)
    await source(issuer, wanted=Wanted()).fetch()
    assert form_of(issuer.requests[-1]) == {"grant_type": "client_credentials", **US}


async def test_a_password_is_sent_where_it_is_the_grant(issuer: IssuerStub) -> None:
    says(issuer)
    user = User(name="svc", password=Secret("pa ss"))
    await source(issuer, user=user, wanted=Wanted()).fetch()
    assert form_of(issuer.requests[-1]) == {
        "grant_type": "password",
        "username": "svc",
        "password": "pa ss",
        **US,
    }


async def test_a_refresh_token_is_spent_and_never_sent_twice(issuer: IssuerStub) -> None:
    says(issuer, refresh_token="next")
    tokens = await source(issuer).refresh(Secret("old"))
    assert tokens.refresh_token is not None
    assert tokens.refresh_token.reveal() == "next"
    assert form_of(issuer.requests[-1]) == {
        "grant_type": "refresh_token",
        "refresh_token": "old",
        "scope": "quotes.read",
        "resource": "https://quotes/",
        **US,
    }
    assert issuer.requests[-1].extensions["is_repeatable"] is False


async def test_a_users_token_is_exchanged_as_rfc_8693_has_it(issuer: IssuerStub) -> None:
    says(issuer, issued_token_type=ACCESS_TOKEN)
    await source(issuer).exchange(Secret("alices"))
    assert form_of(issuer.requests[-1]) == {
        "grant_type": EXCHANGE,
        "subject_token": "alices",
        "subject_token_type": ACCESS_TOKEN,
        "requested_token_type": ACCESS_TOKEN,
        **WANTED.form,
        **US,
    }
    assert issuer.requests[-1].extensions["is_repeatable"] is True


async def test_at_entra_it_is_handed_on_in_entras_way(issuer: IssuerStub) -> None:
    says(issuer)
    await source(issuer, is_entra=True, wanted=Wanted(scope="api://x/y")).exchange(Secret("alices"))
    assert form_of(issuer.requests[-1]) == {
        "grant_type": JWT_BEARER,
        "assertion": "alices",
        "requested_token_use": "on_behalf_of",
        "scope": "api://x/y",
        **US,
    }


@pytest.mark.parametrize("how", ["fetch", "refresh", "exchange"])
@pytest.mark.parametrize(
    ("members", "error", "words"),
    [
        ({"token_type": "DPoP"}, UnusableAnswer, "not a bearer token's"),
        ({"token_type": "N_A"}, UnusableAnswer, "not a bearer token's"),
        ({"access_token": "a b"}, UnusableAnswer, "not a bearer token's"),
        ({"access_token": "x" * 40_000}, UnusableAnswer, "not a bearer token's"),
        ({"without": "access_token"}, UnusableAnswer, "not a bearer token's"),
        ({"issued_token_type": "urn:x:saml2"}, UnusableAnswer, "is no access token"),
        ({"status": 400, "error": "invalid_client"}, SourceRefused, "client's id or secret"),
        ({"status": 400, "error": "invalid_target"}, SourceRefused, "resource or audience"),
        ({"status": 400, "error": "new_word"}, SourceRefused, "the issuer says new_word, wanted"),
        ({"status": 400, "error": "server_error"}, UnusableAnswer, "400 with server_error"),
        ({"status": 400, "error": 'a"b'}, UnusableAnswer, "400 with no error code"),
        ({"status": 404}, UnusableAnswer, "404 with no error code"),
        ({"status": 403, "error": "access_denied"}, UnusableAnswer, "wanted 400 of the issuer"),
        ({"status": 500, "error": "invalid_grant"}, IssuerUnavailable, "answered 500"),
        ({"status": 429}, IssuerThrottled, "answered 429"),
    ],
)
async def test_an_answer_is_a_token_a_refusal_or_nothing_of_use(
    issuer: IssuerStub, how: str, members: dict[str, Any], error: type[Exception], words: str
) -> None:
    says(issuer, **members)
    asked = source(issuer)
    with pytest.raises(error, match=words) as raised:
        await (asked.fetch() if how == "fetch" else getattr(asked, how)(Secret("token")))
    assert type(raised.value) is error


async def test_a_refused_refresh_token_is_final_and_anything_else_is_not(
    issuer: IssuerStub,
) -> None:
    asked = source(issuer)
    says(issuer, status=400, error="invalid_grant", error_codes=[50173])
    with pytest.raises(RefreshRefused) as refused:
        await asked.refresh(Secret("old"))
    assert refused.value.said == "invalid_grant (AADSTS50173)"
    for how in (asked.fetch, lambda: asked.exchange(Secret("alices"))):
        with pytest.raises(SourceRefused, match="invalid_grant"):
            await how()


async def test_it_is_known_whose_refresh_tokens_these_are(issuer: IssuerStub) -> None:
    assert source(issuer).identity == f"us at {ISSUER}"
