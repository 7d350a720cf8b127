"""sessiond's events as signed HTTPS requests, or as chat messages."""

from typing import Any

from sessiond.api import settings_of
from sessiond_webhook.settings import WebhookSettings
from sessiond_webhook.webhook import DeliveryError, OutageError, Webhook

__all__ = ["DeliveryError", "OutageError", "Webhook", "subscriber"]


def subscriber(**keys: Any) -> Webhook:
    """Return the webhook that a `[[subscriber]]` table with `plugin = "webhook"` asks for."""
    return Webhook(settings_of(WebhookSettings, keys))
