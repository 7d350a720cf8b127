"""Verifiers that plugins bring: `[[issuer]] verify = "plugin"`."""

from contextlib import suppress
from datetime import datetime
from functools import partial

import structlog

from sessiond.api import IssuerAbout, Verifier
from sessiond.config import IssuerConfig
from sessiond.core.errors import ConfigError, IssuerThrottled, IssuerUnavailable, TokenRejected
from sessiond.core.secret import Secret
from sessiond.core.verdict import Verdict
from sessiond.extensions import entry_points
from sessiond.extensions.former_names import under_present_names
from sessiond.extensions.plugin_guard import answering, built, one_line, report, stopped
from sessiond.extensions.plugin_results import checked_verdict
from sessiond.refresher import Tokens

log = structlog.get_logger()

MEMBERS = ("is_online", "needs_call", "verify", "still_valid", "probe")
FOR_EVER = 10 * 366 * 86400.0  # seconds: longer than any lease


class PluginVerifier:
    """A Verifier (sessiond.api) around a plugin's: bounded in time, believed after a check."""

    def __init__(
        self, verifier: Verifier, *, plugin: str, issuer: str, timeout: float, absent: bool = False
    ) -> None:
        """Ask nothing yet.

        Args:
            verifier: The plugin's.
            plugin: What logs and errors call it.
            issuer: The configured name, the only one that it can vouch for.
            timeout: Seconds for one call.
            absent: Whether it stands for a plugin that could not be started.
        """
        self.is_absent = absent
        self._verifier = verifier
        self._plugin = plugin
        self._issuer = issuer
        self._timeout = timeout
        self.is_online = bool(verifier.is_online)

    def needs_call(self, token: Secret) -> bool:
        """Say what the plugin says; where it fails, yes: then the breaker is before it."""
        try:
            return bool(self._verifier.needs_call(token))
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything
            report(self._plugin, "needs_call", error)
            return True

    async def verify(
        self, token: Secret, *, now: datetime, expires_in: float | None = None
    ) -> Verdict:
        """Return what the plugin vouches for; see `sessiond.api.Verifier`."""
        with answering(self._plugin, "verify", seconds=self._timeout):
            verdict = await self._verifier.verify(token, now=now, expires_in=expires_in)
            return checked_verdict(verdict, issuer=self._issuer, now=now)

    def still_valid(self, verdict: Verdict) -> bool:
        """Say what the plugin says; where it fails, no: the token is verified again."""
        try:
            return bool(self._verifier.still_valid(verdict))
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything
            report(self._plugin, "still_valid", error)
            return False

    async def probe(self) -> None:
        """Have the plugin make its trial call; a refusal is an answer too."""
        with suppress(TokenRejected), answering(self._plugin, "probe", seconds=self._timeout):
            await self._verifier.probe()

    async def stop(self) -> None:
        """Have the plugin let go of what it holds."""
        await stopped(self._verifier, plugin=self._plugin)


class NoRefresh:
    """A TokenSource (sessiond.refresher) where nothing can be refreshed.

    It asks to be left alone for ever. So a session whose user brought a refresh token all the same
    lasts until its lease ends, and the token is never sent anywhere.
    """

    async def refresh(self, token: Secret) -> Tokens:
        raise IssuerThrottled(
            "this issuer has no token_endpoint, wanted one to refresh at: set it, or have the "
            "program bring no refresh token",
            retry_after=FOR_EVER,
        )

    async def revoke(self, token: Secret) -> bool:
        return False


class _Absent:
    """In the place of a plugin that could not be started: it vouches for nobody."""

    is_online = False  # sessions of before are not asked about again: they end with their lease

    def __init__(self, why: str) -> None:
        self._why = why

    def needs_call(self, token: Secret) -> bool:
        return True

    def still_valid(self, verdict: Verdict) -> bool:
        return False

    async def verify(
        self, token: Secret, *, now: datetime, expires_in: float | None = None
    ) -> Verdict:
        raise IssuerUnavailable(self._why)

    async def probe(self) -> None:
        raise IssuerUnavailable(self._why)


async def plugin_verifier(
    config: IssuerConfig, about: IssuerAbout, *, lenient: bool = False
) -> PluginVerifier:
    """Return the verifier that an issuer's table names.

    Args:
        config: The table.
        about: What the plugin is told of its issuer.
        lenient: Where the plugin cannot be started, return one to which its issuer is unavailable.

    Raises:
        ConfigError: There is no such plugin, or it refuses its settings.
    """
    absent = False
    try:
        verifier = await _verifier(config, about)
    except ConfigError as error:
        if not lenient:
            raise
        log.error("verifier left out", issuer=config.name, problem=one_line(error))
        absent, verifier = True, _Absent(one_line(error))
    return PluginVerifier(
        verifier,
        plugin=config.plugin,
        issuer=config.name,
        timeout=config.timeout,
        absent=absent,
    )


async def _verifier(config: IssuerConfig, about: IssuerAbout) -> Verifier:
    where = f"issuer[{config.name}]"
    if "issuer" in config.settings:
        raise ConfigError(
            f"{where}.settings.issuer is there, must not be: sessiond itself sets that"
        )
    made: Verifier = await built(
        entry_points.VERIFIERS,
        config.plugin,
        where=where,
        settings_at=f"{where}.settings",
        members=MEMBERS,
        keywords={**config.settings, "issuer": about},
        adapted=partial(under_present_names, plugin=config.plugin),
    )
    return made
