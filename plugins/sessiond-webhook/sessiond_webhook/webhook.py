"""The subscriber: events in, requests out, acknowledged when the receiver has them."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Final

from sessiond.api import Event, TrustedFileError, TryLater
from sessiond_webhook.answers import Answer
from sessiond_webhook.clock import Clock, SystemClock
from sessiond_webhook.files import Files, trust
from sessiond_webhook.message import Message, message_of
from sessiond_webhook.post import Poster
from sessiond_webhook.settings import WebhookSettings
from sessiond_webhook.signature import signature_headers
from sessiond_webhook.target import place

FIRST_PAUSE: Final = 0.5  # seconds, doubled with each try
LONGEST_PAUSE: Final = 8.0


class DeliveryError(Exception):
    """The receiver may not have it: raise it, so that sessiond brings the events again."""


class OutageError(DeliveryError, TryLater):
    """The same, whatever was sent: no event is set aside for it."""


class Webhook:
    """Posts the events that are wanted, and does not return before they were accepted."""

    def __init__(self, settings: WebhookSettings, clock: Clock | None = None) -> None:
        """Read the files, and send nothing yet.

        Raises:
            SettingsError: A file cannot be used.
        """
        self.batch = settings.batch
        self._settings = settings
        self._clock = clock or SystemClock()
        self._files = Files(settings)
        self._poster = Poster(trust(settings.ca_file), self._clock)
        self._silent_until = 0.0  # monotonic: the receiver has asked not to be disturbed

    async def receive_batch(self, events: Sequence[Event]) -> None:
        """Return when the receiver has answered 2xx.

        Raises:
            DeliveryError: It has not, however often it was tried within `patience`.
            OutageError: The same, whatever the event; or a file can no longer be used.
        """
        wanted = [event for event in events if self._is_wanted(event)]
        if not wanted:
            return
        try:
            await self._deliver(message_of(wanted, self._settings))
        except TrustedFileError as error:
            raise OutageError(str(error)) from error

    async def stop(self) -> None:
        """Close the connection."""
        await self._poster.aclose()

    def _is_wanted(self, event: Event) -> bool:
        patterns = self._settings.kinds
        return not patterns or any(fnmatchcase(event.kind, each) for each in patterns)

    async def _deliver(self, message: Message) -> None:
        end = self._clock.monotonic() + self._settings.patience
        host = place(self._files.url().reveal())
        await self._keep_silent(host, end)
        tries = 0
        while True:
            answer = await self._post(message, end)
            tries += 1
            if not answer.fault:
                return
            now = self._clock.monotonic()
            self._silent_until = now + answer.retry_after
            pause = max(answer.retry_after, self._pause(tries))
            if not answer.is_passing or now + pause >= end:
                error = OutageError if answer.is_outage else DeliveryError
                raise error(f"{host}: {answer.fault}; tries: {tries}")
            await self._clock.sleep(pause)

    async def _keep_silent(self, host: str, end: float) -> None:
        """Wait as long as the receiver has asked for; nothing is sent before.

        Raises:
            OutageError: That is longer than `patience`.
        """
        now = self._clock.monotonic()
        if self._silent_until <= now:
            return
        await self._clock.sleep(min(self._silent_until, end) - now)
        if self._silent_until >= end:
            left = self._silent_until - self._clock.monotonic()
            raise OutageError(f"{host}: it has asked for silence, {left:.0f} s more; tries: 0")

    async def _post(self, message: Message, end: float) -> Answer:
        timeout = min(self._settings.timeout, end - self._clock.monotonic())
        url = self._files.url().reveal()
        return await self._poster.post(url, self._headers(message), message.body, timeout=timeout)

    def _headers(self, message: Message) -> dict[str, str]:
        """Return a try's headers: its time is its own."""
        headers = {"user-agent": "sessiond-webhook"}
        headers |= {name.lower(): value for name, value in self._settings.headers.items()}
        headers["content-type"] = message.content_type
        authorization = self._files.authorization()
        if authorization is not None:
            headers["authorization"] = authorization.reveal()
        return headers | signature_headers(
            self._files.keys(),
            message_id=message.id,
            timestamp=int(self._clock.now()),
            body=message.body,
        )

    def _pause(self, tries: int) -> float:
        """Return the seconds before the next try, shortened by up to a quarter."""
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(tries - 1, 10))
        return pause * (1.0 - self._clock.draw() / 4)
