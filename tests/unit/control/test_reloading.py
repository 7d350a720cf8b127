"""A reload on an operator's word: what it would end, what it ended, and who wanted it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest
import structlog

from sessiond.core.events import OperatorReloaded
from tests.unit.control.viewing import ADMIN, STRANGER, TOKEN, problem, viewing

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Outcome:
    applied: bool = False
    errors: tuple[str, ...] = ()
    needs_restart: tuple[str, ...] = ()
    would_end: Mapping[str, int] = field(default_factory=dict)
    ended: int = 0


@dataclass
class File:
    """A configuration that comes to this."""

    comes_to: Outcome
    asked: list[bool] = field(default_factory=list)

    async def __call__(self, *, dry_run: bool) -> Outcome:
        self.asked.append(dry_run)
        return replace(self.comes_to, applied=False, ended=0) if dry_run else self.comes_to


APPLIED = Outcome(applied=True, needs_restart=("listen.port",), would_end={"corp": 2}, ended=2)


async def test_a_reload_is_carried_out_and_told_with_who_and_why() -> None:
    async with viewing() as v:
        v.view.reload = file = File(APPLIED)
        v.view.configuration.generation = 4
        response = await v.ask("POST", "/v1/reload", json={"reason": "more issuers"})
        assert response.json() == {
            "applied": True,
            "errors": [],
            "needs_restart": ["listen.port"],
            "would_end": {"corp": 2},
            "ended": 2,
        }
        assert file.asked == [False]
        (event,) = v.store.events
        assert isinstance(event, OperatorReloaded)
        assert event.by is not None
        assert (event.by.uid, event.reason) == (ADMIN.uid, "more issuers")
        assert (event.value, event.count) == ("4", 2)


async def test_what_was_only_looked_at_is_not_told() -> None:
    async with viewing() as v:
        v.view.reload = file = File(APPLIED)
        found = (await v.ask("POST", "/v1/reload", json={"dry_run": True})).json()
        assert (found["applied"], found["would_end"], found["ended"]) == (False, {"corp": 2}, 0)
        assert (file.asked, v.store.events) == ([True], [])


async def test_a_file_that_is_refused_says_why_and_is_not_told() -> None:
    async with viewing() as v:
        v.view.reload = File(Outcome(errors=("listen.prot is unknown",)))
        found = (await v.ask("POST", "/v1/reload", json={})).json()
        assert (found["applied"], found["errors"]) == (False, ["listen.prot is unknown"])
        assert v.store.events == []


async def test_a_daemon_that_is_only_starting_says_so() -> None:
    async with viewing() as v:
        assert "starting" in problem(await v.ask("POST", "/v1/reload", json={}), 503)


async def test_words_that_cannot_be_shown_reload_nothing() -> None:
    async with viewing() as v:
        v.view.reload = file = File(APPLIED)
        problem(await v.ask("POST", "/v1/reload", json={"reason": TOKEN}), 400)
        assert file.asked == []


async def test_who_may_only_read_reloads_nothing() -> None:
    async with viewing() as v:
        v.view.reload, v.peer = File(APPLIED), STRANGER
        problem(await v.ask("POST", "/v1/reload", json={"dry_run": True}), 403)


async def test_a_reload_that_cannot_be_written_down_counts_all_the_same() -> None:
    async with viewing() as v:
        v.view.reload = File(APPLIED)
        v.store.failing = 1
        with structlog.testing.capture_logs() as logs:
            response = await v.ask("POST", "/v1/reload", json={})
        assert response.json()["applied"]
        assert "event not written" in {each["event"] for each in logs}
