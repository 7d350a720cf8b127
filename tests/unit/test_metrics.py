"""What is observed is in the histograms."""

import anyio
import pytest

from sessiond.gate import LoginTimings
from sessiond.metrics import LOOK_EVERY, Metrics
from tests.fakes import FakeClock

pytestmark = pytest.mark.anyio


class LateClock(FakeClock):
    """A clock by which every task is woken late."""

    def __init__(self, late: float) -> None:
        super().__init__()
        self.late = late
        self.naps = 0
        self._passed = 0.0

    def monotonic(self) -> float:
        return self._passed

    async def sleep(self, seconds: float) -> None:
        self.naps += 1
        self._passed += seconds + self.late
        if self.naps > 4:
            await anyio.sleep_forever()
        await anyio.lowlevel.checkpoint()


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"sessiond_{name}", labels)


async def test_the_loops_lag_is_how_late_a_task_is_woken() -> None:
    metrics, clock = Metrics(), LateClock(late=0.3)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(metrics.watch_loop, clock)
        while clock.naps <= 4:
            await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    assert value(metrics, "loop_lag_seconds_count") == 4
    assert value(metrics, "loop_lag_seconds_sum") == pytest.approx(4 * 0.3)
    assert value(metrics, "loop_lag_seconds_bucket", le="0.25") == 0
    assert value(metrics, "loop_lag_seconds_bucket", le="0.5") == 4


async def test_a_loop_that_is_in_time_has_no_lag() -> None:
    metrics, clock = Metrics(), FakeClock()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(metrics.watch_loop, clock)
        for _ in range(3):
            await clock.advance(LOOK_EVERY)
        tasks.cancel_scope.cancel()
    count = value(metrics, "loop_lag_seconds_count")
    assert count
    assert value(metrics, "loop_lag_seconds_bucket", le="0.0001") == count


def test_an_answer_is_told_with_the_wait_for_the_issuer_where_there_was_one() -> None:
    metrics = Metrics()
    metrics.answered("connect", "refused", 0.02, LoginTimings())
    metrics.answered("connect", "accepted", 0.2, LoginTimings(issuer="corp", queued=0.1))
    assert value(metrics, "answer_seconds_count", call="connect", outcome="refused") == 1
    assert value(metrics, "answer_seconds_sum", call="connect", outcome="accepted") == 0.2
    assert value(metrics, "queue_wait_seconds_sum", issuer="corp") == 0.1
    assert value(metrics, "queue_wait_seconds_count", issuer="") is None


def test_calls_are_told_apart_by_issuer_and_kind() -> None:
    metrics = Metrics()
    metrics.calls_of("corp")("verify", 0.5)
    metrics.calls_of("partner")("refresh", 0.25)
    told = {
        (each.labels["issuer"], each.labels["kind"]): each.value
        for family in metrics.registry.collect()
        for each in family.samples
        if each.name == "sessiond_issuer_call_seconds_sum"
    }
    assert told == {("corp", "verify"): 0.5, ("partner", "refresh"): 0.25}


def test_sign_ins_are_counted_by_what_became_of_them_and_callbacks_timed() -> None:
    metrics = Metrics()
    for _ in range(3):
        metrics.sign_in_begun("corp")
    metrics.sign_in_over("corp", "finished", 0.2)
    metrics.sign_in_over("corp", "failed", 0.3)
    assert value(metrics, "web_sign_ins_total", issuer="corp", outcome="begun") == 3
    assert value(metrics, "web_sign_ins_total", issuer="corp", outcome="finished") == 1
    assert value(metrics, "web_sign_ins_total", issuer="corp", outcome="failed") == 1
    assert value(metrics, "web_callback_seconds_sum", issuer="corp") == 0.5
