"""Operators' sign-ins for sources over HTTP: for administrators, and back to this machine alone."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from uuid import uuid4

import anyio
import pytest

from sessiond.control.authorizing import IssuersAnswer
from sessiond.core.errors import IssuerUnavailable, SignInRefused
from sessiond.core.events import OperatorAuthorized
from sessiond.core.secret import Secret
from sessiond.sources.seeded import Seeded
from tests.fakes import token_hash
from tests.unit.control.test_sourcing import READER, Sourcing, sourcing
from tests.unit.control.viewing import ADMIN, problem
from tests.unit.sources.fakes import ScriptedClient
from tests.unit.sources.test_authorizing import Pages

pytestmark = pytest.mark.anyio
PATH = "/v1/sources/quotes/authorizations"
HERE = {"redirect_uri": "http://127.0.0.1:1234/"}


@dataclass
class World:
    sourcing: Sourcing
    pages: Pages
    client: ScriptedClient

    async def post(self, path: str = PATH, **body: str) -> dict[str, str]:
        response = await self.sourcing.v.ask("POST", path, json=body)
        assert response.status_code == 200, response.text
        found: dict[str, str] = response.json()
        return found


@asynccontextmanager
async def at_work() -> AsyncIterator[World]:
    async with sourcing() as made:
        client, v = ScriptedClient(), made.v
        one = made.made(READER.uid, grant="refresh_token")
        one.source.fetching = Seeded(
            "quotes",
            client=client,
            table=v.view.table,
            seed=None,
            hashed=lambda token: token_hash(token.reveal()),
            clock=v.clock,
            alone=anyio.Lock(),
        )
        pages = Pages()
        made.use(replace(one, authorizer=pages), made.made(READER.uid, name="other"))
        yield World(made, pages, client)


async def test_what_the_browser_comes_back_with_brings_the_refresh_token() -> None:
    async with at_work() as world:
        v = world.sourcing.v
        assert (await v.get("/v1/sources"))["sources"][0]["state"] == "unauthorized"
        begun = await world.post(**HERE)
        assert begun["url"] == "https://issuer/authorize?state=random"
        told = await world.post(f"{PATH}/{begun['id']}", code="code", state="random")
        assert told == {"state": "authorized", "detail": ""}
        assert await v.get(f"{PATH}/{begun['id']}") == told
        (event,) = (e for e in v.store.events if isinstance(e, OperatorAuthorized))
        assert (event.scope, event.value, event.by and event.by.uid) == (
            "source",
            "quotes",
            v.peer.uid,
        )
        v.peer = READER
        assert (await v.ask("GET", "/v1/sources/quotes/token")).status_code == 200
        assert world.client.asked == ["refresh brought"]


async def test_a_source_that_a_reload_has_replaced_meanwhile_is_asked_anew() -> None:
    async with at_work() as world:
        v, made = world.sourcing.v, world.sourcing
        before = v.view.sources_now["quotes"]
        begun = await world.post(**HERE)
        after = made.made(READER.uid, grant="refresh_token")
        after.source.fetching = before.source.fetching
        made.use(replace(after, authorizer=before.authorizer))
        v.peer = READER
        assert (await v.ask("GET", "/v1/sources/quotes/token")).status_code == 502  # for a while
        v.peer = ADMIN
        await world.post(f"{PATH}/{begun['id']}", code="code", state="random")
        v.peer = READER
        assert (await v.ask("GET", "/v1/sources/quotes/token")).status_code == 200


async def test_with_a_device_code_somebody_is_waited_for() -> None:
    async with at_work() as world:
        begun = await world.post()
        assert (begun["user_code"], begun["url"]) == ("CODE", "https://issuer/device")
        world.pages.signed_in.set()
        assert (await world.sourcing.v.get(f"{PATH}/{begun['id']}"))["state"] == "authorized"


async def test_another_state_is_the_callers_error_and_ends_nothing() -> None:
    async with at_work() as world:
        v, begun = world.sourcing.v, await world.post(**HERE)
        wrong = await v.ask("POST", f"{PATH}/{begun['id']}", json={"code": "c", "state": "x"})
        assert "another sign-in's" in problem(wrong, 400)
        told = await world.post(f"{PATH}/{begun['id']}", code="code", state="random")
        assert told["state"] == "authorized"


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "https://127.0.0.1:1/",
        "http://evil.example.com/",
        "http://[::1/",
        "",
        "http://127.0.0.1:1/\r\nx",
        "javascript:alert(1)",
    ],
)
async def test_a_code_comes_back_to_this_machine_alone(redirect_uri: str) -> None:
    async with at_work() as world:
        response = await world.sourcing.v.ask("POST", PATH, json={"redirect_uri": redirect_uri})
        assert "wanted http://127.0.0.1" in problem(response, 400)


@pytest.mark.parametrize(
    ("away", "status"), [(IssuerUnavailable("away"), 503), (SignInRefused("invalid_client"), 502)]
)
@pytest.mark.parametrize("body", [HERE, {}])
async def test_an_issuer_that_begins_none_is_told_of(
    away: Exception, status: int, body: dict[str, str]
) -> None:
    async with at_work() as world:
        world.pages.away = away
        assert str(away) in problem(await world.sourcing.v.ask("POST", PATH, json=body), status)


async def test_it_is_for_administrators_and_for_what_is_refreshed() -> None:
    async with at_work() as world:
        v = world.sourcing.v
        other = await v.ask("POST", "/v1/sources/other/authorizations", json={})
        assert "nobody signs in for source other" in problem(other, 400)
        problem(await v.ask("POST", "/v1/sources/none/authorizations", json={}), 404)
        for id_ in (str(uuid4()), "x"):
            problem(await v.ask("GET", f"{PATH}/{id_}"), 404)
        v.peer = READER
        problem(await v.ask("POST", PATH, json={}), 403)


def test_nothing_secret_is_shown_of_a_sign_in() -> None:
    assert "verifier" not in repr(Secret("verifier"))


def test_what_the_issuer_sent_is_shown_to_nobody() -> None:
    answer = IssuersAnswer(code="a code", state="a state", iss="an iss")
    assert repr(answer) == str(answer) == "IssuersAnswer(***)"
