"""What every verifier owes the daemon, in which it runs."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from sessiond.api import (
    IssuerAbout,
    IssuerUnavailable,
    Refusal,
    Secret,
    TokenRejected,
    Verdict,
)
from sessiond.extensions.former_names import under_present_names
from sessiond.extensions.plugin_guard import AnswerError
from sessiond.extensions.plugin_results import checked_verdict
from sessiond.extensions.verifiers import MEMBERS
from sessiond.testing.calling import cancelled_at_each_step, many_at_once
from sessiond.testing.settings_contract import check_settings

LONGEST_TOKEN = 32768  # characters


async def check_verifier(
    entry: Callable[..., Any],
    settings: Mapping[str, Any],
    *,
    issuer: IssuerAbout,
    token: Secret,
    now: datetime,
) -> None:
    """Check a verifier: its settings, a good token, damaged ones, many at once, cancellation.

    Args:
        entry: Its entry point.
        settings: Good ones, every key that it knows if possible.
        issuer: As `issuer_about` makes it.
        token: A good one.
        now: A time at which it is good.

    Raises:
        AssertionError: It breaks its contract; the text says how.
    """
    made: Any = check_settings(entry, settings, issuer=issuer)[0]
    made = under_present_names(made, plugin="it")
    missing = [name for name in MEMBERS if not hasattr(made, name)]
    if missing:
        raise AssertionError(f"the verifier has no {', '.join(missing)}")
    verdict = await _verdict(made, issuer, token, now)
    await _check_standing(made, token, verdict)
    await _check_many(made, issuer, token, now)
    await cancelled_at_each_step(lambda: made.verify(token, now=now))
    await _verdict(made, issuer, token, now)
    await _check_refused(made, token, verdict.lease.expires_at, Refusal.EXPIRED)
    late = verdict.lease.expires_at + timedelta(days=365)
    await _check_refused(made, token, late, Refusal.EXPIRED)
    for damaged in _damaged(token.reveal()):
        await _check_refused(made, Secret(damaged), now, None)


async def _verdict(made: Any, issuer: IssuerAbout, token: Secret, now: datetime) -> Verdict:
    try:
        found = await made.verify(token, now=now)
        return checked_verdict(found, issuer=issuer.name, now=now)
    except AnswerError as error:
        raise AssertionError(f"the daemon does not believe its verdict: {error}") from error
    except (TokenRejected, IssuerUnavailable) as error:
        raise AssertionError(f"the good token is not accepted: {error}") from error


async def _check_standing(made: Any, token: Secret, verdict: Verdict) -> None:
    if made.still_valid(verdict) is not True:
        raise AssertionError("it does not vouch for its own verdict: still_valid is not True")
    if not isinstance(made.needs_call(token), bool):
        raise AssertionError("needs_call says neither True nor False")
    if made.is_online and not made.needs_call(token):
        raise AssertionError("it asks the issuer about each token, so needs_call must be True")
    try:
        await made.probe()
    except IssuerUnavailable as error:
        raise AssertionError(f"its trial call fails where a token is verified: {error}") from error


async def _check_many(made: Any, issuer: IssuerAbout, token: Secret, now: datetime) -> None:
    found = await many_at_once(lambda: _verdict(made, issuer, token, now))
    if any(verdict.principal != found[0].principal for verdict in found):
        raise AssertionError("asked from many tasks at once, it mixes up who is who")


async def _check_refused(made: Any, token: Secret, now: datetime, reason: Refusal | None) -> None:
    text = token.reveal()
    shape = f"a token of {len(text)} characters"
    try:
        made.needs_call(token)
        await made.verify(token, now=now)
    except TokenRejected as rejected:
        if reason is not None and rejected.reason is not reason:
            raise AssertionError(f"refused as {rejected.reason}, must be {reason}") from rejected
        if len(text) > 8 and text in str(rejected):
            raise AssertionError("the error shows the token") from rejected
    except IssuerUnavailable as error:
        raise AssertionError(f"{shape} is no fault of the issuer's: raise TokenRejected") from error
    except Exception as error:
        raise AssertionError(f"{shape} makes it raise {type(error).__name__}") from error
    else:
        what = "a damaged token" if reason is None else "a token at or past its end"
        raise AssertionError(f"{what} is accepted")


def _damaged(good: str) -> Iterator[str]:
    """Yield texts that are not the good token, and look more or less like it."""
    for at in (0, len(good) // 4, len(good) // 2, len(good) * 3 // 4):
        other = "A" if good[at] != "A" else "B"
        yield good[:at] + other + good[at + 1 :]
    for size in (0, 1, len(good) // 2, len(good) - 4):
        yield good[:size]
    yield good + good
    yield good + "."
    yield "." * 200
    yield "a" * LONGEST_TOKEN
    yield "\N{SNOWMAN}" + good
    yield good[:-8] + "\0" * 8
