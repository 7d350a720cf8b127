"""A user's token is handed on to his issuer; where it is not at hand, it is refreshed first."""

from collections.abc import Awaitable, Callable

import pytest

from sessiond.core.errors import IssuerUnavailable
from sessiond.core.grant import GrantId
from sessiond.core.secret import Secret
from sessiond.refresher import Tokens
from sessiond.sources.on_behalf import OnBehalf
from tests.fakes import grant_id
from tests.unit.sources.fakes import ScriptedClient

pytestmark = pytest.mark.anyio


class Users:
    """Fulfils `AccessTokens`."""

    def __init__(self, *, known: dict[GrantId, str], refreshed: dict[GrantId, str]) -> None:
        self._known = known
        self._refreshed = refreshed
        self.asked: list[GrantId] = []

    def access_token(self, grant: GrantId) -> Secret | None:
        found = self._known.get(grant)
        return None if found is None else Secret(found)

    async def refresh_for(self, grant: GrantId) -> None:
        self.asked.append(grant)
        self._known |= self._refreshed


async def call(ask: Callable[[], Awaitable[Tokens]]) -> Tokens:
    return await ask()


async def test_it_is_the_users_own() -> None:
    client = ScriptedClient()
    users = Users(known={grant_id(1): "alices", grant_id(2): "bobs"}, refreshed={})
    for number in (1, 2):
        await OnBehalf(client, users).tokens(grant_id(number), call)
    assert client.asked == ["exchange alices", "exchange bobs"]
    assert users.asked == []


async def test_one_that_is_not_at_hand_is_refreshed_first() -> None:
    client = ScriptedClient()
    users = Users(known={}, refreshed={grant_id(1): "new"})
    await OnBehalf(client, users).tokens(grant_id(1), call)
    assert (users.asked, client.asked) == ([grant_id(1)], ["exchange new"])


async def test_without_one_nobody_is_asked() -> None:
    client, users = ScriptedClient(), Users(known={}, refreshed={})
    for key in (grant_id(1), None):
        with pytest.raises(IssuerUnavailable):
            await OnBehalf(client, users).tokens(key, call)
    assert client.asked == []
