"""What calls to an issuer show of it."""

import anyio
import pytest

from sessiond.core.errors import IssuerUnavailable
from sessiond.issuers.health import IssuerHealth
from tests.fakes import START, FakeClock, idle

pytestmark = pytest.mark.anyio


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def health(clock: FakeClock) -> IssuerHealth:
    return IssuerHealth(clock)


async def test_three_calls_in_a_row_that_failed_are_trouble_and_one_answer_ends_it(
    health: IssuerHealth,
) -> None:
    assert health.trouble == "it has not been asked yet"
    health.heard(IssuerUnavailable("no route"))
    assert health.trouble == "no route"  # never reached
    health.heard(None)
    for number in range(2):
        health.heard(IssuerUnavailable(f"down {number}"))
    assert health.trouble == ""
    health.heard(IssuerUnavailable("down for good"))
    assert health.trouble == "down for good"
    health.heard(None)
    assert health.trouble == ""


async def test_what_a_plugin_says_of_its_issuer_is_shown_without_secrets(
    health: IssuerHealth,
) -> None:
    health.heard(IssuerUnavailable("Bearer abcdefghijklmnop \x1b[2J" + "x" * 1000))
    assert health.last_error.startswith("[redacted]")
    assert len(health.last_error) == 500


async def test_it_is_known_when_no_call_is_under_way(health: IssuerHealth) -> None:
    await health.over()
    held, over = anyio.Event(), anyio.Event()

    async def call() -> None:
        with health.call():
            await held.wait()

    async def wait() -> None:
        await health.over()
        over.set()

    async with anyio.create_task_group() as tasks:
        for _ in range(2):
            tasks.start_soon(call)
        await idle()
        tasks.start_soon(wait)
        await idle()
        assert not over.is_set()
        await health.successor().over()  # what is under way is not the successor's
        held.set()
        await over.wait()
    health.heard(None)
    assert health.successor().last_success_at == health.last_success_at == START
