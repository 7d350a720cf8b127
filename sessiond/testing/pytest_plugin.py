"""Fixtures for the tests of plugins; pytest finds them wherever sessiond is installed.

A test module's own fixture of the same name comes before these. They import what they need when
they are used.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from sessiond import testing

if TYPE_CHECKING:
    from sessiond.testing import Delivery, EventFactory, FakeClock, FakeIssuer


@pytest.fixture
def clock() -> "FakeClock":
    """A clock moved by hand: `await clock.advance(60)`."""
    return testing.FakeClock()


@pytest.fixture
def events(clock: "FakeClock") -> "EventFactory":
    """Events with consecutive numbers, at the clock's times."""
    return testing.EventFactory(clock)


@pytest.fixture
def deliver(clock: "FakeClock") -> "Callable[..., Delivery]":
    """`async with deliver(make) as delivery:` feeds a subscriber as the daemon does."""
    return partial(_delivery, clock)


@pytest.fixture
def issuer(clock: "FakeClock") -> "FakeIssuer":
    """An issuer in this process, at the clock's times."""
    return testing.FakeIssuer(clock=clock)


def _delivery(clock: "FakeClock", make: Callable[[], Any], **options: Any) -> "Delivery":
    return testing.Delivery(make, clock=clock, **options)
