"""What a plugin inside the daemon can do wrong, and what becomes of it."""

import threading
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
import structlog
from structlog.testing import capture_logs

from sessiond.core.errors import (
    ConfigError,
    IssuerThrottled,
    IssuerUnavailable,
    Refusal,
    TokenRejected,
)
from sessiond.core.plugin_settings import SettingsError
from sessiond.extensions import entry_points, plugin_guard
from sessiond.extensions.plugin_guard import AnswerError, answering, built, stopped

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _plain_logs() -> None:
    structlog.reset_defaults()


async def made(
    entry: Any, monkeypatch: pytest.MonkeyPatch, keywords: Mapping[str, Any] | None = None
) -> Any:
    monkeypatch.setattr(entry_points, "load", lambda group, name: entry)
    return await built(
        "sessiond.verifiers",
        "acme",
        where="issuer[corp]",
        settings_at="issuer[corp].settings",
        members=("verify", "probe"),
        keywords=keywords or {},
    )


class Complete:
    def __init__(self, **keys: object) -> None:
        self.keys = keys

    def verify(self) -> None: ...

    def probe(self) -> None: ...


async def test_a_plugin_is_made_with_its_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = await made(Complete, monkeypatch, {"path": "/x"})
    assert plugin.keys == {"path": "/x"}


async def test_a_plugin_that_is_not_installed_names_the_key() -> None:
    with pytest.raises(ConfigError, match=r"^issuer\[corp\]\.plugin: no plugin 'none-such' in "):
        await built(
            "sessiond.verifiers",
            "none-such",
            where="issuer[corp]",
            settings_at="",
            members=(),
            keywords={},
        )


def refuses_settings(**_: object) -> None:
    raise SettingsError("path is missing", "pth is unknown; did you mean path?")


def refuses_the_machine(**_: object) -> None:
    raise ConfigError("nothing listens there")


def breaks(**_: object) -> None:
    raise KeyError("host")


def takes_no_such_key(*, path: str) -> None: ...


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (
            refuses_settings,
            "issuer[corp].settings.path is missing\n"
            "issuer[corp].settings.pth is unknown; did you mean path?",
        ),
        (refuses_the_machine, "issuer[corp].settings: nothing listens there"),
        (
            breaks,
            "issuer[corp].settings: plugin 'acme' could not be made from its settings: KeyError: "
            f"'host' ({__file__}:{breaks.__code__.co_firstlineno + 1}), "
            "wanted settings that it takes: see its README",
        ),
        (
            lambda **_: object(),
            "issuer[corp].plugin: what 'acme' makes has no verify, probe, wanted that: mend the "
            "plugin (docs/plugins.md), or name another",
        ),
    ],
)
async def test_a_plugin_that_does_not_start_is_a_wrong_configuration(
    monkeypatch: pytest.MonkeyPatch, entry: Any, problem: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        await made(entry, monkeypatch, {"color": "red"})
    assert str(raised.value) == problem


async def test_a_plugin_that_does_not_take_a_key_is_told_by_its_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wanted = r"made from its settings: TypeError: takes_no_such_key\(\) got an unexpected .*'color'"
    with pytest.raises(ConfigError, match=wanted):
        await made(takes_no_such_key, monkeypatch, {"color": "red"})


async def test_our_own_errors_pass_as_they_are() -> None:
    for error in (TokenRejected(Refusal.INACTIVE, "locked"), IssuerUnavailable("away")):
        with pytest.raises(type(error)) as raised, answering("acme", "verify", seconds=9):
            raise error
        assert raised.value is error


@pytest.mark.parametrize(
    ("said", "meant"),
    [(5, 5.0), (-1, 0.0), (float("nan"), 0.0), (1e12, 3600.0), ("soon", 0.0), (True, 0.0)],
)
async def test_a_wish_to_be_left_alone_is_a_number_of_seconds(said: Any, meant: float) -> None:
    with pytest.raises(IssuerThrottled) as raised, answering("acme", "verify", seconds=9):
        raise IssuerThrottled("busy", retry_after=said)
    assert raised.value.retry_after == meant


async def test_a_foreign_error_is_no_verdict_and_its_text_is_told_nobody() -> None:
    with (
        capture_logs() as logs,
        pytest.raises(IssuerUnavailable) as raised,
        answering("acme", "verify", seconds=9),
    ):
        raise KeyError("the token is hunter2")
    assert str(raised.value).startswith("plugin 'acme' failed: KeyError, wanted an answer: see ")
    assert raised.value.__cause__ is None
    (entry,) = logs
    assert (entry["event"], entry["plugin"], entry["call"]) == ("plugin failed", "acme", "verify")
    assert entry["error"] == "KeyError"
    assert "test_plugin_guard.py:" in entry["at"]
    assert "hunter2" not in str(logs)


async def test_a_refusal_for_a_reason_of_its_own_is_no_verdict() -> None:
    with (
        capture_logs() as logs,
        pytest.raises(IssuerUnavailable),
        answering("acme", "verify", seconds=9),
    ):
        raise TokenRejected("because", "I say so")  # type: ignore[arg-type]
    assert logs[0]["error"] == "a refusal whose reason is no Refusal"


async def test_a_late_answer_is_none() -> None:
    with (
        capture_logs() as logs,
        pytest.raises(IssuerUnavailable, match=r"did not answer within 0\.001 s, wanted"),
        answering("acme", "verify", seconds=0.001),
    ):
        await anyio.sleep_forever()
    assert logs[0]["event"] == "plugin is late"


async def test_an_answer_that_is_not_believed_says_why_in_the_log() -> None:
    with (
        capture_logs() as logs,
        pytest.raises(IssuerUnavailable),
        answering("acme", "verify", seconds=9),
    ):
        raise AnswerError("the answer is no Verdict")
    assert logs[0]["error"] == "the answer is no Verdict"


class Stops:
    def __init__(self, *, is_async: bool = False, fails: bool = False, hangs: bool = False) -> None:
        self.stops, self.fails, self.hangs, self.is_async = 0, fails, hangs, is_async

    def stop(self) -> object:
        if self.is_async:
            return self.later()
        self.now()
        return None

    async def later(self) -> None:
        if self.hangs:
            await anyio.sleep_forever()
        self.now()

    def now(self) -> None:
        self.stops += 1
        if self.fails:
            raise OSError("gone")


async def test_stop_is_called_where_there_is_one_plain_or_async() -> None:
    await stopped(object(), plugin="acme")
    for each in (Stops(), Stops(is_async=True)):
        await stopped(each, plugin="acme")
        assert each.stops == 1


async def test_a_plugin_that_fails_to_stop_is_left_alone() -> None:
    with capture_logs() as logs:
        await stopped(Stops(fails=True), plugin="acme")
    assert (logs[0]["call"], logs[0]["error"]) == ("stop", "OSError")


async def test_a_plugin_that_does_not_stop_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin_guard, "STOP_WITHIN", 0.001)
    with capture_logs() as logs:
        await stopped(Stops(is_async=True, hangs=True), plugin="acme")
    assert logs[0]["event"] == "plugin does not stop"


def stray() -> BaseException:
    """Return what a task sees that is cancelled, as where it awaits one that another cancelled."""
    return anyio.get_cancelled_exc_class()()


@pytest.mark.parametrize("stopping", [stray, lambda: SystemExit(1)])
async def test_a_plugin_ends_no_task_of_the_daemons(stopping: Any) -> None:
    with (
        capture_logs() as logs,
        pytest.raises(IssuerUnavailable, match="'acme' failed"),
        answering("acme", "verify", seconds=9),
    ):
        raise stopping()
    assert logs[0]["event"] == "plugin failed"


async def test_our_own_cancelling_passes_through_a_plugin() -> None:
    with anyio.CancelScope() as scope:
        scope.cancel()
        with answering("acme", "verify", seconds=9):
            await anyio.sleep_forever()
    assert scope.cancelled_caught


class Unfounded(TokenRejected):
    """Forgets to say why."""

    def __init__(self) -> None:
        pass


class Unmeasured(IssuerThrottled):
    """Forgets to say until when."""

    def __init__(self) -> None:
        pass


async def test_an_error_of_ours_that_a_plugin_made_badly_is_no_verdict() -> None:
    half = Unfounded()
    half.reason = Refusal.INACTIVE
    for error in (Unfounded(), half, Unmeasured()):
        with pytest.raises(IssuerUnavailable), answering("acme", "verify", seconds=9):
            raise error


class Moody:
    """Raises when it is looked at."""

    @property
    def verify(self) -> object:
        raise OSError("not today")

    @property
    def probe(self) -> object:
        raise SystemExit(1)

    @property
    def stop(self) -> object:
        raise OSError("not today")


def leaves(**_: object) -> None:
    raise SystemExit(2)


@pytest.mark.parametrize("entry", [lambda **_: Moody(), leaves])
async def test_a_plugin_that_breaks_while_it_is_made_is_a_wrong_configuration(
    monkeypatch: pytest.MonkeyPatch, entry: Any
) -> None:
    with pytest.raises(ConfigError, match=r"^issuer\[corp\]"):
        await made(entry, monkeypatch)


async def test_a_plugin_that_leaves_as_it_is_imported_is_a_wrong_configuration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(entry_points, "load", lambda group, name: leaves())
    with pytest.raises(ConfigError, match=r"^issuer\[corp\]"):
        await built(
            "sessiond.verifiers",
            "acme",
            where="issuer[corp]",
            settings_at="issuer[corp].settings",
            members=(),
            keywords={},
        )


async def test_a_plugin_that_is_never_made_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin_guard, "MADE_WITHIN", 0.001)
    released = threading.Event()
    try:
        with pytest.raises(ConfigError, match=r"was not made within 0\.001 seconds"):
            await made(lambda **_: released.wait(), monkeypatch)
    finally:
        released.set()


async def test_a_plugin_that_cannot_even_be_asked_to_stop_is_left_alone() -> None:
    async def stop() -> None:
        raise stray()

    for plugin in (Moody(), SimpleNamespace(stop=stop)):
        with capture_logs() as logs:
            await stopped(plugin, plugin="acme")
        assert logs[0]["call"] == "stop"
