"""Subscribers: plugins that are told every event, each in a process of its own."""

from sessiond.extensions.subscribers.runner import DeliveryRules
from sessiond.extensions.subscribers.state import SubscriberState
from sessiond.extensions.subscribers.subprocesses import starter
from sessiond.extensions.subscribers.supervision import (
    STOP_WITHIN,
    Subscribers,
    SubscriberSettings,
)

__all__ = [
    "STOP_WITHIN",
    "DeliveryRules",
    "SubscriberSettings",
    "SubscriberState",
    "Subscribers",
    "starter",
]
