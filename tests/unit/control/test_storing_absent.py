"""A value that is not there is asked for as often as one that is: before each request."""

import anyio
import pytest

from sessiond.control.turns import AT_ONCE, REFUSALS
from tests.fakes import idle
from tests.unit.control.test_storing import AT, TOKEN, storing
from tests.unit.control.viewing import problem

pytestmark = pytest.mark.anyio

AT_ONCE_REFUSED = int(REFUSALS * AT_ONCE)  # without a pause


async def test_that_there_is_no_value_is_said_without_a_pause_and_is_no_refusal() -> None:
    async with storing() as v:
        for _ in range(2 * AT_ONCE_REFUSED):  # nobody moves the clock
            problem(await v.ask("GET", TOKEN, params=AT), 404)
        for _ in range(AT_ONCE_REFUSED):
            problem(await v.ask("GET", TOKEN), 400)


async def test_a_question_that_is_wrong_is_held_back_there_too() -> None:
    async with storing() as v, anyio.create_task_group() as tasks:
        answered = list[int]()

        async def ask() -> None:
            answered.append((await v.ask("GET", TOKEN)).status_code)

        for _ in range(AT_ONCE_REFUSED + 1):
            tasks.start_soon(ask)
            await idle()
        assert answered == [400] * AT_ONCE_REFUSED
        tasks.cancel_scope.cancel()
