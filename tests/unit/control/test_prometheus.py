"""What the metrics say of a daemon that the test steers."""

from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from sessiond import log
from sessiond.core.errors import StoreError
from sessiond.core.events import Event
from sessiond.extensions.subscribers.state import Condition, SubscriberState
from tests.unit.control.viewing import Viewing, viewing

pytestmark = pytest.mark.anyio


async def scraped(running: Viewing) -> dict[tuple[str, ...], float]:
    """Return the samples by name and labels."""
    text = (await running.ask("GET", "/metrics")).text
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def state(name: str, *, place: int, lag: int, condition: Condition = "running") -> SubscriberState:
    return SubscriberState(
        name=name,
        plugin="audit",
        state=condition,
        pid=None,
        place=place,
        lag=lag,
        set_aside=2,
        restarts=3,
        last_error="",
        last_error_at=None,
        last_received_at=None,
    )


async def test_subscribers_are_told_by_name_with_how_far_they_are_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with viewing() as running:
        states = [
            state("late", place=0, lag=2),
            state("level", place=2, lag=0),
            state("down", place=1, lag=1, condition="waiting"),
        ]
        monkeypatch.setattr(running.view.subscribers, "states", lambda: states)
        await running.log_in(1)
        await running.clock.advance(60)
        await running.log_in(2)
        await running.clock.advance(30)
        found = await scraped(running)
    for name, up, events, age in (("late", 1, 2, 90), ("level", 1, 0, 0), ("down", 0, 1, 30)):
        assert found["sessiond_subscriber_up", name] == up
        assert found["sessiond_subscriber_lag_events", name] == events
        assert found["sessiond_subscriber_lag_seconds", name] == age
        assert found["sessiond_subscriber_set_aside", name] == 2
        assert found["sessiond_subscriber_restarts_total", name] == 3


async def test_an_age_that_cannot_be_read_is_left_out_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def unreadable(*_: Any, **__: Any) -> list[Event]:
        raise StoreError("the database cannot be read")

    async with viewing() as running:
        monkeypatch.setattr(
            running.view.subscribers, "states", lambda: [state("a", place=0, lag=9)]
        )
        monkeypatch.setattr(running.view.events, "after", unreadable)
        found = await scraped(running)
    assert found["sessiond_subscriber_lag_events", "a"] == 9
    assert ("sessiond_subscriber_lag_seconds", "a") not in found


async def test_the_disk_is_measured_where_the_database_is(tmp_path: Path) -> None:
    async with viewing() as running:
        assert ("sessiond_store_free_bytes",) not in await scraped(running)  # there is none
        running.view.database = tmp_path / "sessiond.db"
        running.view.database.write_bytes(b"x" * 1000)
        assert (await scraped(running))["sessiond_store_wal_bytes",] == 0
        (tmp_path / "sessiond.db-wal").write_bytes(b"x" * 200)
        found = await scraped(running)
    assert found["sessiond_store_database_bytes",] == 1000
    assert found["sessiond_store_wal_bytes",] == 200
    assert 0 < found["sessiond_store_free_bytes",] <= found["sessiond_store_disk_bytes",]


async def test_what_alerts_count_is_there_before_it_happens() -> None:
    async with viewing() as running:
        found = await scraped(running)
    for reason in ("deadline", "unavailable"):
        assert found["sessiond_logins_total", "corp", "refused", reason] == 0
    for outcome in ("ok", "refused", "throttled", "unavailable"):
        assert found["sessiond_refreshes_total", "corp", outcome] == 0
    assert found["sessiond_commits_total", "failed"] == 0


async def test_lines_that_were_lost_or_held_back_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(log.lost, "journal", 7)
    monkeypatch.setattr(log.repeats, "held_back", 8)
    async with viewing() as running:
        found = await scraped(running)
    assert found["sessiond_log_lines_dropped_total", "journal"] == 7
    assert found["sessiond_log_lines_held_back_total",] == 8


async def test_leases_that_end_soon_are_shown_by_how_soon() -> None:
    async with viewing() as running:
        await running.log_in(1)
        await running.clock.advance(3600 - 100)
        found = await scraped(running)
    assert found["sessiond_leases_expiring", "60"] == 0
    assert found["sessiond_leases_expiring", "300"] == 1
