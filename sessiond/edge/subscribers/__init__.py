"""Subscribers: plugins that are told every event, each in a process of its own."""

from sessiond.edge.subscribers.children import starter
from sessiond.edge.subscribers.feeding import FeedingRules
from sessiond.edge.subscribers.state import SubscriberState
from sessiond.edge.subscribers.supervision import STOP_WITHIN, Subscribers

__all__ = ["STOP_WITHIN", "FeedingRules", "SubscriberState", "Subscribers", "starter"]
