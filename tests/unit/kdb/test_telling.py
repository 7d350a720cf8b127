"""One line a login: its outcome, and what its time went to."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from sessiond.kdb import authentication
from tests.fakes import FakeClock
from tests.unit.kdb.serving import Serving, connect, renew, serving

pytestmark = pytest.mark.anyio

SOON = 2.0  # seconds
FACTS = {"process": "gw1", "user": "alice", "log_level": "info"}


def told(lines: Any, event: str = "login") -> list[dict[str, Any]]:
    return [dict(line) for line in lines if line["event"] == event]


def measured(daemon: Serving, call: str, outcome: str) -> float | None:
    """Return how many answers were measured."""
    registry = daemon.context.login_services.metrics.registry
    return registry.get_sample_value(
        "sessiond_answer_seconds_count", {"call": call, "outcome": outcome}
    )


async def test_an_accepted_login_says_what_the_issuer_and_the_disk_took(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        verified, written = daemon.verifier.hold(), daemon.store.hold()
        with capture_logs() as lines:
            await q.ask(connect("alice", "access", 5))
            await clock.advance(0.25)
            verified.set()
            await clock.advance(0.5)
            written.set()
            await q.answer()
        (line,) = told(lines)
        assert line == {
            **FACTS,
            "event": "login",
            "outcome": "accepted",
            "issuer": "corp",
            "session": str(daemon.kept[0].id),
            "answer_ms": 750,
            "queue_ms": 0,
            "issuer_ms": 250,
            "commit_ms": 500,
        }
        assert measured(daemon, "connect", "accepted") == 1


async def test_a_login_that_misses_its_deadline_says_who_was_waited_for(clock: FakeClock) -> None:
    async with serving(clock, deadline=SOON) as daemon:
        q = await daemon.process()
        daemon.verifier.hold()
        with capture_logs() as lines:
            await q.ask(connect("alice", "access", 5))
            await clock.advance(SOON)
            await q.answer()
        (line,) = told(lines)
        assert (line["outcome"], line["reason"], line["issuer"]) == ("refused", "deadline", "corp")
        assert (line["queue_ms"], line["issuer_ms"], line["answer_ms"]) == (0, 1900, 1900)
        assert not {"commit_ms", "session"} & line.keys()
        assert measured(daemon, "connect", "refused") == 1


async def test_what_did_not_happen_is_not_there(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        with capture_logs() as lines:
            await q.connect("alice", "access", 5)
            await q.connect("alice", "access", 6)
        first, again = told(lines)
        assert {"queue_ms", "issuer_ms"} <= first.keys()
        assert not {"queue_ms", "issuer_ms"} & again.keys()  # its verdict was kept


async def test_the_process_has_its_answer_before_operators_are_told_of_it(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        session = await q.log_in()
        writes = q.end.transport.writes
        with pytest.MonkeyPatch.context() as patch:
            written: list[int] = []
            patch.setattr(authentication, "tell", lambda *_: written.append(len(writes)))
            before = len(writes)
            await q.connect("alice", "access", 6)
            await q.sync(renew(session, "access"))
        assert written == [before + 1, before + 2]
