"""Waiting for whichever comes first."""

from typing import Any

import anyio
import anyio.lowlevel
import pytest

from sessiond.racing import first

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


async def test_the_first_to_return_ends_the_others() -> None:
    ended: list[str] = []

    async def wait_for_ever() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("cancelled")

    await first(wait_for_ever, anyio.lowlevel.checkpoint, wait_for_ever)
    assert ended == ["cancelled", "cancelled"]


async def test_an_error_of_one_ends_all() -> None:
    async def fail() -> None:
        raise LookupError

    with pytest.raises(ExceptionGroup) as failed:
        await first(anyio.sleep_forever, fail)
    assert [type(each) for each in failed.value.exceptions] == [LookupError]
