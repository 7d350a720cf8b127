"""No refresh token, plain or sealed, stays in the memory of a table that thousands log in at."""

import gc
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from types import FunctionType, ModuleType

import anyio
import pytest

from sessiond.core.grant import TokenHash
from sessiond.core.secret import Secret
from sessiond.store import opened
from sessiond.store.sealing import KeyRing
from sessiond.table import Table
from tests.fakes import FakeClock, grant_id, login, presented, principal, table_settings, verdict

pytestmark = pytest.mark.anyio

TOKEN = "refresh-token-" + "x" * 1200


def reachable(root: object) -> Iterator[object]:
    """Yield all that an object refers to, however far away; not what programs are made of."""
    seen, waiting = set[int](), [root]
    while waiting:
        each = waiting.pop()
        if id(each) in seen or isinstance(each, type | ModuleType | FunctionType):
            continue
        seen.add(id(each))
        yield each
        waiting += gc.get_referents(each)


def secrets() -> list[str]:
    """Return the texts of all secrets of this test that there are."""
    found = [each.reveal() for each in gc.get_objects() if isinstance(each, Secret)]
    return [each for each in found if TOKEN in each]


def hashed(token: str) -> TokenHash:
    return TokenHash(sha256(token.encode()).digest())


async def test_after_a_thousand_logins_there_is_none(tmp_path: Path) -> None:
    settings = table_settings()
    async with opened(tmp_path / "db", KeyRing({1: bytes(32)})) as store:
        table = Table(store, FakeClock(), settings)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(table.run)
            async with anyio.create_task_group() as logins:
                for number in range(1, 1001):
                    says = verdict(principal(f"user{number}"))
                    tokens = presented(f"access{number}", f"{number}{TOKEN}", says=says)
                    tokens = replace(tokens, refresh=hashed(f"{number}{TOKEN}"))
                    logins.start_soon(table.ask, login(number, tokens))
                del tokens
            table.close()
        assert len(table.grants()) == 1000
        gc.collect()
        found = Secret(TOKEN)  # so the search would find one
        assert secrets() == [found.reveal()]
        del found
        assert secrets() == []
        rows = list(reachable(table._rows))
        large = [each for each in rows if isinstance(each, str | bytes) and len(each) > 1000]
        assert large == []
        assert not [each for each in rows if isinstance(each, str) and TOKEN in each]
        kept = await store.refresh_token(grant_id(1000))
        assert kept is not None
        assert kept.reveal() == f"1000{TOKEN}"
