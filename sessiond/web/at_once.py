"""What an answer needs of an issuer's pages, for which nobody is kept waiting.

q waits for each answer, and so do all its users meanwhile: an issuer that hangs must not let
strangers hold them, one request after the other.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from sessiond.clock import Clock
from sessiond.core.errors import IssuerUnavailable
from sessiond.racing import first

A = TypeVar("A")

PATIENCE = 0.3  # seconds


async def at_once(clock: Clock, ask: Callable[[], Awaitable[A]]) -> A:
    """Return the answer, unless it takes long enough to be noticed.

    Raises:
        IssuerUnavailable: It does, or there is none.
    """
    answers, failures = list[A](), list[IssuerUnavailable]()

    async def keep() -> None:
        try:
            answers.append(await ask())
        except IssuerUnavailable as error:
            failures.append(error)

    await first(keep, lambda: clock.sleep(PATIENCE))
    if failures:
        raise failures[0]
    if not answers:
        raise IssuerUnavailable(
            f"no answer within {PATIENCE} s, wanted one by then: see that issuer"
        )
    return answers[0]
