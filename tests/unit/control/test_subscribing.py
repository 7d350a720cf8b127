"""Subscribers as operators see them, and what only admins may do about them."""

from http import HTTPStatus

import anyio
import pytest
from anyio.abc import TaskGroup
from structlog.testing import capture_logs

from sessiond.config import SubscriberConfig
from sessiond.control.access import Access
from sessiond.core.changes import KeepDeadLetters, RecordEvents
from tests.fakes import idle
from tests.unit.control.viewing import STRANGER, Viewing, problem, viewing
from tests.unit.extensions.subscribers.fed import Children, event

pytestmark = pytest.mark.anyio


async def begin(running: Viewing, tasks: TaskGroup) -> Children:
    """Have `audit` run, with two events set aside, on processes of the test's."""
    children = Children()
    subscribers = running.view.subscribers
    subscribers._start = children.start
    await running.want(SubscriberConfig(plugin="audit", name="audit"))
    table = running.view.table
    await table.ask(RecordEvents(events=(event(), event())))
    await table.ask(
        KeepDeadLetters(
            subscriber="audit", events=(event(1), event(2)), attempts=10, error="ValueError: no"
        )
    )
    tasks.start_soon(subscribers.run)
    await idle()
    return children


async def test_a_subscriber_is_shown_as_it_stands() -> None:
    async with viewing() as running, anyio.create_task_group() as tasks:
        await begin(running, tasks)
        (status,) = (await running.get("/v1/status"))["subscribers"]
        assert (status["name"], status["state"], status["set_aside"]) == ("audit", "running", 2)
        (found,) = (await running.get("/v1/subscribers"))["subscribers"]
        assert found["status"] == status
        assert [each["sequence"] for each in found["set_aside"]] == [1, 2]
        assert found["set_aside"][0] == {
            "sequence": 1,
            "kind": "login.refused",
            "at": found["set_aside"][0]["at"],
            "attempts": 10,
            "error": "ValueError: no",
        }
        await running.view.subscribers.stop()


async def test_an_admin_has_set_aside_events_sent_once_more_and_is_noted() -> None:
    async with viewing() as running, anyio.create_task_group() as tasks:
        children = await begin(running, tasks)
        with capture_logs() as logs:
            answer = await running.ask("POST", "/v1/subscribers/audit/retry")
        assert (answer.status_code, answer.json()) == (HTTPStatus.OK, {"events": 2})
        assert [(each["event"], each["pid"], each["events"]) for each in logs] == [
            ("set-aside events tried again", running.peer.pid, 2)
        ]
        await idle()
        assert children.offered == [[1], [2]]
        await running.view.subscribers.stop()


async def test_an_admin_has_set_aside_events_given_up_and_is_noted() -> None:
    async with viewing() as running, anyio.create_task_group() as tasks:
        await begin(running, tasks)
        with capture_logs() as logs:
            answer = await running.ask("DELETE", "/v1/subscribers/audit/set-aside")
        assert (answer.status_code, answer.json()) == (HTTPStatus.OK, {"events": 2})
        assert logs[0]["event"] == "set-aside events given up"
        (found,) = (await running.get("/v1/subscribers"))["subscribers"]
        assert found["set_aside"] == []
        await running.view.subscribers.stop()


async def test_the_place_of_one_that_is_not_configured_any_more_is_shown_and_can_be_forgotten() -> (
    None
):
    async with viewing() as running, anyio.create_task_group() as tasks:
        await begin(running, tasks)
        assert "it is configured" in problem(
            await running.ask("DELETE", "/v1/subscribers/audit"), HTTPStatus.CONFLICT
        )
        await running.want()
        found = await running.get("/v1/subscribers")
        assert found["subscribers"] == []
        (former,) = found["former"]
        assert (former["name"], former["place"], former["set_aside"]) == ("audit", 2, 2)
        with capture_logs() as logs:
            answer = await running.ask("DELETE", "/v1/subscribers/audit")
        assert answer.status_code == HTTPStatus.NO_CONTENT
        assert [each["event"] for each in logs] == ["subscriber forgotten"]
        assert (await running.get("/v1/subscribers"))["former"] == []
        problem(await running.ask("DELETE", "/v1/subscribers/audit"), HTTPStatus.NOT_FOUND)
        await running.view.subscribers.stop()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/subscribers/none/retry"),
        ("DELETE", "/v1/subscribers/none/set-aside"),
    ],
)
async def test_what_is_not_configured_is_not_found_and_strangers_may_not_ask(
    method: str, path: str
) -> None:
    async with viewing(access=Access.of(readers=(), admins=())) as running:
        assert "no such subscriber" in problem(await running.ask(method, path), 404)
        running.peer = STRANGER
        problem(await running.ask(method, path), 403)
