"""Plugins that run inside the daemon: what is done so that their faults stay theirs."""

import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import anyio
import anyio.to_thread
import structlog

from sessiond.core.errors import (
    ConfigError,
    IssuerThrottled,
    IssuerUnavailable,
    Refusal,
    TokenRejected,
    UnusableAnswer,
)
from sessiond.core.plugin_settings import SettingsError
from sessiond.extensions import entry_points

MADE_WITHIN = 30.0  # seconds, imports included
STOP_WITHIN = 5.0  # seconds
LONGEST_HOLD = 3600.0  # seconds that a plugin's word closes an issuer for at most

log = structlog.get_logger()


class AnswerError(Exception):
    """A plugin's answer cannot be believed; the text has nothing of the answer."""


async def built(
    group: str,
    plugin: str,
    *,
    where: str,
    settings_at: str,
    members: Sequence[str],
    keywords: Mapping[str, Any],
    adapted: Callable[[Any], Any] = lambda made: made,
) -> Any:
    """Import a plugin and return what its entry point makes, called in a worker thread.

    Args:
        group: The entry points' group.
        plugin: The entry point's name.
        where: The configuration table that names it.
        settings_at: The table that its own keys are in.
        members: What the result must have.
        keywords: Given to the entry point.
        adapted: Makes of the result what it is used as.

    Raises:
        ConfigError: It is not installed, cannot be imported, refuses its settings, lacks a
            member or is not there in time; the text begins with `where`.
    """

    def make() -> Any:
        made, missing = _made(
            group, plugin, members, keywords, adapted, where=where, settings_at=settings_at
        )
        if missing:
            raise ConfigError(
                f"{where}.plugin: what {plugin!r} makes has no {', '.join(missing)}, wanted that: "
                "mend the plugin (docs/plugins.md), or name another"
            )
        return made

    try:
        with anyio.fail_after(MADE_WITHIN):
            return await anyio.to_thread.run_sync(make, abandon_on_cancel=True)
    except TimeoutError:
        raise ConfigError(
            f"{where}.plugin: {plugin!r} was not made within {MADE_WITHIN:g} seconds, wanted it "
            "ready: see what it waits for"
        ) from None


def _made(
    group: str,
    plugin: str,
    members: Sequence[str],
    keywords: Mapping[str, Any],
    adapted: Callable[[Any], Any],
    *,
    where: str,
    settings_at: str,
) -> tuple[Any, list[str]]:
    """Return what the entry point makes, which may raise anything, and which members it lacks."""
    try:
        entry = entry_points.load(group, plugin)
    except ConfigError as error:
        raise ConfigError(f"{where}.plugin: {error}") from error
    except SystemExit as error:
        raise ConfigError(
            f"{where}.plugin: {plugin!r} calls exit ({error}), wanted to import it: mend the plugin"
        ) from error
    try:
        made = adapted(entry(**keywords))
        return made, [name for name in members if not hasattr(made, name)]
    except SettingsError as error:
        lines = [f"{settings_at}.{problem}" for problem in error.problems]
        raise ConfigError("\n".join(lines)) from error
    except ConfigError as error:
        raise ConfigError(f"{settings_at}: {error}") from error
    except (Exception, SystemExit) as error:
        raise ConfigError(
            f"{settings_at}: plugin {plugin!r} could not be made from its settings: "
            f"{type(error).__name__}: {error} ({_place(error)}), "
            "wanted settings that it takes: see its README"
        ) from error


async def stopped(made: Any, *, plugin: str) -> None:
    """Call a plugin's `stop()`, where it has one, and wait for it a while."""
    try:
        stop = getattr(made, "stop", None)
        if stop is None:
            return
        with anyio.move_on_after(STOP_WITHIN, shield=True) as patience, _ending_nobody():
            answer = stop()
            if inspect.isawaitable(answer):
                await answer
        if patience.cancelled_caught:
            log.warning("plugin does not stop", plugin=plugin, seconds=STOP_WITHIN)
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything
        report(plugin, "stop", error)


@contextmanager
def answering(plugin: str, call: str, *, seconds: float) -> Iterator[None]:
    """Let one call into a plugin take so long, and turn what goes wrong into our own errors.

    Raises:
        TokenRejected: The plugin raised it.
        IssuerThrottled: The plugin raised it.
        IssuerUnavailable: The plugin raised it or an OSError, or it was not done in time.
        UnusableAnswer: It raised anything else: what it was asked may be to blame.
    """
    try:
        with anyio.fail_after(seconds), _ending_nobody():
            yield
    except TokenRejected as rejected:
        if _is_whole(rejected):
            raise
        report(plugin, call, AnswerError("a refusal whose reason is no Refusal"))
        raise UnusableAnswer(
            f"plugin {plugin!r} refuses for no known reason, wanted a Refusal: mend the plugin"
        ) from None
    except IssuerThrottled as throttled:
        hold = _hold(getattr(throttled, "retry_after", None))
        raise IssuerThrottled(str(throttled), retry_after=hold) from None
    except IssuerUnavailable:
        raise
    except TimeoutError:
        log.warning("plugin is late", plugin=plugin, call=call, seconds=seconds)
        raise IssuerUnavailable(
            f"plugin {plugin!r} did not answer within {seconds:g} s, wanted an answer by then: see "
            "what it waits for"
        ) from None
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything
        report(plugin, call, error)
        kind = IssuerUnavailable if isinstance(error, OSError) else UnusableAnswer
        raise kind(
            f"plugin {plugin!r} failed: {type(error).__name__}, wanted an answer: see where in the "
            "log (plugin failed)"
        ) from None


@contextmanager
def _ending_nobody() -> Iterator[None]:
    """Let a plugin end neither the daemon nor a task of it.

    A plugin that awaits a task which somebody else has cancelled raises what cancels a task: passed
    on, it would silently end the task group that asked, and all of that group's work.

    Raises:
        AnswerError: Instead of SystemExit, and of a cancelling that was none of ours.
    """
    try:
        yield
    except anyio.get_cancelled_exc_class():
        if anyio.current_effective_deadline() == -math.inf:  # we did
            raise
        raise AnswerError("it was cancelled, and not by sessiond") from None
    except SystemExit:
        raise AnswerError("it called exit") from None


def one_line(error: ConfigError) -> str:
    """Return why a plugin could not be started, for a line of the log and for operators."""
    return "; ".join(str(error).splitlines())


def report(plugin: str, call: str, error: Exception) -> None:
    """Log that a plugin failed: where, and by which class. A foreign text may hold a token."""
    text = str(error) if isinstance(error, AnswerError) else type(error).__name__
    log.error("plugin failed", plugin=plugin, call=call, error=text, at=_place(error))


def _place(error: BaseException) -> str:
    """Return the file and line that raised it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"


def _is_whole(rejected: TokenRejected) -> bool:
    """Say whether a refusal says what ours do: a plugin may be untyped, or have made its own."""
    reason, detail = (getattr(rejected, key, None) for key in ("reason", "detail"))
    return isinstance(reason, Refusal) and isinstance(detail, str)


def _hold(seconds: object) -> float:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return 0.0
    return 0.0 if math.isnan(seconds) else max(0.0, min(float(seconds), LONGEST_HOLD))
