"""What the authors of plugins test with.

Each name is imported when it is first asked for: pytest loads this package's plugin wherever
sessiond is installed, also for tests that need nothing of it.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sessiond.testing.answer import Asked
    from sessiond.testing.clock import START, FakeClock, idle
    from sessiond.testing.delivery import Delivery
    from sessiond.testing.events import EventFactory
    from sessiond.testing.fake_issuer import FakeIssuer
    from sessiond.testing.issued import Issued
    from sessiond.testing.issuer import issuer_about
    from sessiond.testing.process import FakeProcess
    from sessiond.testing.receiver import FakeReceiver
    from sessiond.testing.role_source_contract import check_role_source
    from sessiond.testing.settings_contract import check_settings
    from sessiond.testing.subscriber_contract import check_subscriber
    from sessiond.testing.verifier_contract import check_verifier
    from sessiond.testing.wire import QReplyError

__all__ = [
    "START",
    "Asked",
    "Delivery",
    "EventFactory",
    "FakeClock",
    "FakeIssuer",
    "FakeProcess",
    "FakeReceiver",
    "Issued",
    "QReplyError",
    "check_role_source",
    "check_settings",
    "check_subscriber",
    "check_verifier",
    "idle",
    "issuer_about",
]

_HOMES = {
    "START": "clock",
    "Asked": "answer",
    "Delivery": "delivery",
    "EventFactory": "events",
    "FakeClock": "clock",
    "FakeIssuer": "fake_issuer",
    "FakeProcess": "process",
    "FakeReceiver": "receiver",
    "Issued": "issued",
    "QReplyError": "wire",
    "check_role_source": "role_source_contract",
    "check_settings": "settings_contract",
    "check_subscriber": "subscriber_contract",
    "check_verifier": "verifier_contract",
    "idle": "clock",
    "issuer_about": "issuer",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
