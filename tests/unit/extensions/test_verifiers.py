"""A plugin's verifier, bounded in time and believed after a check."""

from typing import Any

import pytest

from sessiond.config import IssuerConfig
from sessiond.core.errors import (
    ConfigError,
    IssuerThrottled,
    IssuerUnavailable,
    Refusal,
    TokenRejected,
)
from sessiond.core.secret import Secret
from sessiond.core.verdict import Verdict
from sessiond.extensions import entry_points
from sessiond.extensions.verifiers import NoRefresh, PluginVerifier, plugin_verifier
from sessiond.testing import issuer_about
from tests.fakes import START, principal, verdict
from tests.unit.gate.fakes import ScriptedVerifier

pytestmark = pytest.mark.anyio
TOKEN = Secret("token")


def around(verifier: Any, timeout: float = 9.0) -> PluginVerifier:
    return PluginVerifier(verifier, plugin="acme", issuer="corp", timeout=timeout)


class Broken:
    """Raises wherever it is asked."""

    is_online = True

    def needs_call(self, token: Secret) -> bool:
        raise KeyError(token.reveal())

    async def verify(self, token: Secret, **_: object) -> Verdict:
        raise KeyError(token.reveal())

    def still_valid(self, verdict: Verdict) -> bool:
        raise KeyError(verdict)

    async def probe(self) -> None:
        raise KeyError


async def test_a_good_plugin_is_as_the_gate_wants_it() -> None:
    inner = ScriptedVerifier(is_online=False, needs=True)
    inner.withdrawn.add("gone")
    verifier = around(inner)
    assert not verifier.is_online
    assert verifier.needs_call(TOKEN)
    assert await verifier.verify(TOKEN, now=START) == verdict()
    assert verifier.still_valid(verdict())
    await verifier.probe()
    await verifier.stop()
    assert (inner.asked, inner.probes) == (["token"], 1)


async def test_what_the_plugin_refuses_is_refused() -> None:
    inner = ScriptedVerifier(says=TokenRejected(Refusal.INACTIVE, "locked"))
    with pytest.raises(TokenRejected, match="locked"):
        await around(inner).verify(TOKEN, now=START)


async def test_a_verdict_about_another_issuers_user_is_no_verdict() -> None:
    inner = ScriptedVerifier(says=verdict(principal(issuer="bank")))
    with pytest.raises(IssuerUnavailable, match="AnswerError"):
        await around(inner).verify(TOKEN, now=START)


async def test_a_plugin_gets_its_time_and_no_more() -> None:
    inner = ScriptedVerifier()
    inner.hold()
    with pytest.raises(IssuerUnavailable, match=r"within 0\.001 s, wanted"):
        await around(inner, timeout=0.001).verify(TOKEN, now=START)
    assert inner.cancelled == 1


async def test_a_broken_plugin_vouches_for_nothing_and_takes_no_shortcut() -> None:
    verifier = around(Broken())
    assert verifier.is_online
    assert verifier.needs_call(TOKEN)
    assert not verifier.still_valid(verdict())
    for call in (verifier.verify(TOKEN, now=START), verifier.probe()):
        with pytest.raises(IssuerUnavailable, match="failed: KeyError"):
            await call


async def test_an_issuer_that_refreshes_nothing_asks_to_be_left_alone() -> None:
    source = NoRefresh()
    with pytest.raises(IssuerThrottled, match="token_endpoint") as raised:
        await source.refresh(TOKEN)
    assert raised.value.retry_after > 365 * 86400
    assert await source.revoke(TOKEN) is False


def table(**keys: Any) -> IssuerConfig:
    return IssuerConfig(name="corp", issuer="acme", verify="plugin", plugin="acme", **keys)


async def test_the_plugin_is_given_the_issuer_and_its_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: dict[str, Any] = {}
    inner = ScriptedVerifier()
    inner.hold()

    def entry(**keys: Any) -> ScriptedVerifier:
        given.update(keys)
        return inner

    monkeypatch.setattr(entry_points, "load", lambda group, name: entry)
    about = issuer_about()
    made = await plugin_verifier(table(settings={"path": "/x"}, timeout=0.001), about)
    assert given == {"issuer": about, "path": "/x"}
    with pytest.raises(IssuerUnavailable, match=r"within 0\.001 s, wanted"):
        await made.verify(TOKEN, now=START)


async def test_a_setting_called_issuer_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"issuer\[corp\]\.settings\.issuer is there, must not be"
    ):
        await plugin_verifier(table(settings={"issuer": "x"}), issuer_about())


class Refusing(ScriptedVerifier):
    """Tries out a token of its own that the issuer does not know."""

    async def probe(self) -> None:
        raise TokenRejected(Refusal.INACTIVE, "as expected")


async def test_a_trial_call_that_is_refused_was_answered() -> None:
    await around(Refusing()).probe()
