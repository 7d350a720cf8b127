"""What every role source owes the daemon, in which it runs."""

import inspect
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import anyio.to_thread

from sessiond.api import Granted, IssuerUnavailable, Principal, TokenRejected
from sessiond.extensions.plugin_guard import AnswerError, stopped
from sessiond.extensions.plugin_results import checked_granted
from sessiond.testing.calling import cancelled_at_each_step, many_at_once
from sessiond.testing.clock import START
from sessiond.testing.settings_contract import check_settings

STRANGE_NAMES = ("nobody", "o'brien", 'a"b', "*)(uid=*", "a,b;c", "x y", "-", "%s{}", "n" * 256)


async def check_role_source(
    entry: Callable[..., Any],
    settings: Mapping[str, Any],
    *,
    principal: Principal,
    now: datetime = START,
) -> None:
    """Check a role source: its settings, a known user, strange ones, many at once, cancellation.

    Args:
        entry: Its entry point.
        settings: Good ones, every key that it knows if possible.
        principal: A user to whom it grants something.
        now: The time to ask at.

    Raises:
        AssertionError: It breaks its contract; the text says how.
    """
    made: Any = check_settings(entry, settings)[0]
    try:
        await _check_answers(made, principal, now)
    finally:
        await stopped(made, plugin="role source")


async def _check_answers(made: Any, principal: Principal, now: datetime) -> None:
    if not callable(getattr(made, "roles", None)):
        raise AssertionError("the role source has no roles() to ask")
    first = await _asked(made, principal, now)
    if not first.roles and not first.attributes:
        raise AssertionError(f"it grants {principal.name} nothing: name a user whom it knows")
    await _check_many(made, principal, now, first)
    if inspect.iscoroutinefunction(made.roles):
        await cancelled_at_each_step(lambda: made.roles(principal, now=now))
        await _asked(made, principal, now)
    for name in STRANGE_NAMES:
        stranger = Principal(issuer=principal.issuer, subject=f"{name} of nowhere", name=name)
        await _check_stranger(made, stranger, now)


async def _asked(made: Any, principal: Principal, now: datetime) -> Granted:
    """Ask as the daemon does, a plain one in a thread."""

    def ask() -> Any:
        return made.roles(principal, now=now)

    if inspect.iscoroutinefunction(made.roles):
        answer = await ask()
    else:
        answer = await anyio.to_thread.run_sync(ask)
    try:
        return checked_granted(answer)
    except AnswerError as error:
        raise AssertionError(f"the daemon does not believe its answer: {error}") from error


async def _check_many(made: Any, principal: Principal, now: datetime, first: Granted) -> None:
    found = await many_at_once(lambda: _asked(made, principal, now))
    if any(granted != first for granted in found):
        raise AssertionError("asked many times at once, it does not always say the same")


async def _check_stranger(made: Any, stranger: Principal, now: datetime) -> None:
    try:
        await _asked(made, stranger, now)
    except (TokenRejected, IssuerUnavailable):
        return
    except AssertionError:
        raise
    except Exception as error:
        raise AssertionError(
            f"asked about {stranger.name[:20]!r} it raises {type(error).__name__}: "
            "answer Granted(), or raise TokenRejected or IssuerUnavailable"
        ) from error
