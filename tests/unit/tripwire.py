"""Raises at the nth place where a stranger is waited for: it may come from anywhere."""

from collections.abc import Iterator
from datetime import datetime

import anyio
import anyio.lowlevel
import pytest

from sessiond.api import Verifier
from sessiond.core.secret import Secret
from sessiond.core.verdict import Verdict
from sessiond.refresher.refresh_issuer import Tokens, TokenSource

UNEXPECTED = pytest.mark.parametrize(
    "error",
    [
        RuntimeError("nobody expected it"),
        UnicodeError("nor this"),
        RecursionError("nor this"),
        MemoryError("nor this"),
        ExceptionGroup("nor this", [KeyError("x"), ExceptionGroup("y", [OSError()])]),
    ],
    ids=lambda error: type(error).__name__,
)


class Tripwire:
    """Counts where a stranger is waited for, and raises at one of these places, once."""

    def __init__(self, number: int, error: Exception) -> None:
        """Be drawn.

        Args:
            number: Of the place, from 0 on; below 0 nowhere.
            error: Raised there.
        """
        self._left = number
        self._error = error
        self.is_tripped = False

    def cut(self) -> None:
        """Raise nowhere any more."""
        self._left = -1

    async def wait(self) -> None:
        """Wait a turn of the loop, and raise if this is the place."""
        await anyio.lowlevel.checkpoint()
        self._left -= 1
        if self._left == -1:
            self.is_tripped = True
            raise self._error


class TrippedVerifier:
    """A Verifier (sessiond.api) whose every wait goes through a wire."""

    def __init__(self, verifier: Verifier, wire: Tripwire) -> None:
        self._verifier = verifier
        self.wire = wire

    @property
    def is_online(self) -> bool:
        return self._verifier.is_online

    def needs_call(self, token: Secret) -> bool:
        return self._verifier.needs_call(token)

    async def verify(
        self, token: Secret, *, now: datetime, expires_in: float | None = None
    ) -> Verdict:
        await self.wire.wait()
        verdict = await self._verifier.verify(token, now=now, expires_in=expires_in)
        await self.wire.wait()
        return verdict

    def still_valid(self, verdict: Verdict) -> bool:
        return self._verifier.still_valid(verdict)

    async def probe(self) -> None:
        await self.wire.wait()
        await self._verifier.probe()
        await self.wire.wait()


class TrippedTokens:
    """A TokenSource (sessiond.refresher.refresh_issuer) whose every wait goes through a wire."""

    def __init__(self, source: TokenSource, wire: Tripwire) -> None:
        self._source = source
        self._wire = wire

    async def refresh(self, token: Secret) -> Tokens:
        await self._wire.wait()
        tokens = await self._source.refresh(token)
        await self._wire.wait()  # they are lost
        return tokens

    async def revoke(self, token: Secret) -> bool:
        await self._wire.wait()
        is_revoked = await self._source.revoke(token)
        await self._wire.wait()
        return is_revoked


def wires(error: Exception) -> Iterator[Tripwire]:
    """Yield a wire at each place in turn, until one is not reached; at least one must be."""
    number = 0
    while True:
        wire = Tripwire(number, error)
        yield wire
        if not wire.is_tripped:
            assert number > 0, "nothing waits anywhere"
            return
        number += 1
