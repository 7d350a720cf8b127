"""Long answers are made in pieces, whatever is asked."""

import pytest

from sessiond.control import pieces
from sessiond.core.listing import Filter
from tests.unit.control.viewing import viewing

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "AT_ONCE", 2)


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 6, None])
async def test_sessions_are_gathered_up_to_the_limit(limit: int | None) -> None:
    async with viewing() as v:
        for number in range(1, 6):
            await v.log_in(number, pid=100 + 100 * (number % 2))
        found = await pieces.sessions(v.view.table, Filter(), limit=limit)
        assert [each.session.id.int for each in found] == list(range(1, 6))[:limit]
        odd = await pieces.sessions(v.view.table, Filter(user="alice", process="rdb200"))
        assert [each.session.id.int for each in odd] == [1, 3, 5]


@pytest.mark.parametrize("limit", [1, 2, 3, 4])
async def test_pages_of_pieces_give_every_session_once(limit: int) -> None:
    async with viewing() as v:
        for number in range(1, 6):
            await v.log_in(number)
        seen: list[str] = []
        query: dict[str, object] = {"limit": limit}
        while True:
            page = await v.get("/v1/sessions", **query)
            seen += [each["session"][-1] for each in page["sessions"]]
            if page["next"] is None:
                break
            query["after"] = page["next"]
        assert seen == ["1", "2", "3", "4", "5"]


async def test_what_was_revoked_is_gone_from_the_list_as_soon_as_that_is_answered() -> None:
    async with viewing() as v:
        for number in range(1, 6):
            await v.log_in(number)
        await v.ask("POST", "/v1/revocations", json={"user": "alice", "reason": "left"})
        assert await v.alive() == set()
        assert len((await v.get("/v1/revocations"))["revocations"]) == 1
