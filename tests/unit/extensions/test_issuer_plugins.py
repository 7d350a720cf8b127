"""The plugins of one issuer, and the issuer that is built with them."""

from functools import partial
from typing import Any

import anyio
import pytest

from sessiond.config import IssuerConfig, RoleSourceConfig
from sessiond.containment import Containment
from sessiond.core.errors import (
    ConfigError,
    IssuerThrottled,
    IssuerUnavailable,
)
from sessiond.core.granted import Granted
from sessiond.core.secret import Secret
from sessiond.extensions import entry_points
from sessiond.extensions.issuer_plugins import Plugged, plugged_in
from sessiond.extensions.roles import AskedRoles, RolesVerifier
from sessiond.issuers.build import Issuer, RefreshLimits, build_issuer
from sessiond.issuers.our_clients import ClientSecrets
from sessiond.issuers.token_endpoint import TokenEndpoint
from tests.fakes import verdict
from tests.unit.extensions.roles.fakes import ScriptedSource, asked
from tests.unit.gate.fakes import ScriptedVerifier
from tests.unit.issuers.fake import ISSUER, TLS, HandClock, IssuerStub
from tests.unit.jwt.forge import NOW, RSA, jwk, token

pytestmark = pytest.mark.anyio
LDAP = RoleSourceConfig(plugin="ldap", name="ldap")


class Stopping(ScriptedVerifier):
    stops = 0
    about: Any = None

    async def stop(self) -> None:
        self.stops += 1


@pytest.fixture
def issuer() -> IssuerStub:
    return IssuerStub(HandClock())


@pytest.fixture
def verifier() -> Stopping:
    return Stopping(says=verdict(begin=NOW))


@pytest.fixture
def source() -> ScriptedSource:
    return ScriptedSource(Granted(roles=["support"]))


@pytest.fixture(autouse=True)
def _installed(verifier: Stopping, source: ScriptedSource, monkeypatch: pytest.MonkeyPatch) -> None:
    def entry_of(group: str, name: str) -> Any:
        if name == "broken":
            raise ConfigError("no plugin 'broken'")
        return take if group == entry_points.VERIFIERS else lambda: source

    def take(*, issuer: Any) -> Stopping:
        verifier.about = issuer
        return verifier

    monkeypatch.setattr(entry_points, "load", entry_of)


def plugged_table(**keys: Any) -> IssuerConfig:
    given = {"name": "corp", "issuer": "acme", "verify": "plugin", "plugin": "acme"}
    return IssuerConfig(**{**given, **keys})


def built(config: IssuerConfig, plugged: Plugged, issuer: IssuerStub) -> Issuer:
    return build_issuer(
        config,
        leeway=30.0,
        refresh=RefreshLimits(timeout=10.0, concurrency=16),
        secrets=ClientSecrets(),
        clock=issuer.clock,
        tls=TLS,
        plugged=plugged,
        network=issuer.network,
    )


async def test_an_issuer_without_plugins_is_left_as_it_is(issuer: IssuerStub) -> None:
    config = plugged_table(verify="jwt", plugin="", require_role=True)
    plugged = await plugged_in(
        config, (), leeway=30.0, clock=HandClock(), containment=Containment()
    )
    assert (plugged.config, plugged.verifier, plugged.roles) == (config, None, None)
    await plugged.stop()
    assert built(config, plugged, issuer).roles is None


async def test_a_plugin_is_told_what_the_table_says(verifier: Stopping) -> None:
    config = plugged_table(
        also_issued_as=("old",), audience=("kdb",), required_scope="s", timeout=0.5, lease=60.0
    )
    await plugged_in(config, (), leeway=5.0, clock=HandClock(), containment=Containment())
    about = verifier.about
    assert (about.name, about.issuers) == ("corp", {"acme", "old"})
    assert (about.audience, about.timeout, about.leeway.total_seconds()) == ({"kdb"}, 0.5, 5.0)
    claims = {"iss": "old", "aud": "kdb", "scp": "s", "sub": "1", "preferred_username": "alice"}
    assert (about.verdict(claims, now=NOW).lease.expires_at - NOW).total_seconds() == 60.0


async def test_a_plugins_issuer_verifies_by_it_and_refreshes_nothing(
    verifier: Stopping, issuer: IssuerStub
) -> None:
    config = plugged_table()
    plugged = await plugged_in(
        config, (), leeway=30.0, clock=issuer.clock, containment=Containment()
    )
    made = built(config, plugged, issuer)
    assert (await made.verifier.verify(Secret("t"), now=NOW)).principal.name == "alice"
    assert await made.ahead() is None
    assert verifier.probes == 0
    with pytest.raises(IssuerThrottled):
        await made.tokens.refresh(Secret("r"))
    await made.close()
    assert verifier.stops == 1
    assert issuer.requests == []


async def test_with_a_token_endpoint_it_refreshes(issuer: IssuerStub) -> None:
    config = plugged_table(issuer=ISSUER, token_endpoint=f"{ISSUER}t")
    plugged = await plugged_in(
        config, (), leeway=30.0, clock=issuer.clock, containment=Containment()
    )
    assert isinstance(built(config, plugged, issuer).tokens, TokenEndpoint)


async def test_without_the_plugin_such_an_issuer_is_not_built(issuer: IssuerStub) -> None:
    config = plugged_table()
    with pytest.raises(ConfigError, match=r"issuer\[corp\]: verify is plugin, but none was made"):
        built(config, Plugged(config=config, verifier=None, roles=None), issuer)


async def test_default_roles_come_after_those_of_the_sources(
    issuer: IssuerStub, source: ScriptedSource
) -> None:
    issuer.publishes()
    issuer.says("/keys", {"keys": [jwk(RSA, kid="rsa")]})
    config = IssuerConfig(
        name="corp",
        issuer=ISSUER,
        verify="jwt",
        audience=("api://kdb",),
        default_roles=("all",),
    )
    plugged = await plugged_in(
        config, [LDAP], leeway=30.0, clock=issuer.clock, containment=Containment()
    )
    made = built(config, plugged, issuer)
    assert made.roles is not None
    whole = RolesVerifier(made.verifier, AskedRoles(made.roles, issuer.clock))
    async with anyio.create_task_group() as tasks:
        made.roles.sources[0].begin(tasks)
        assert (await whole.verify(token(), now=NOW)).roles == ("all", "support")
        source.says = Granted()
        issuer.clock.pass_(60.0)
        assert (await whole.verify(token(), now=NOW)).assigned == {"all": ("default_roles",)}
    await made.close()
    assert source.stops == 1


async def test_what_was_made_is_stopped_where_a_later_plugin_cannot_be(
    source: ScriptedSource,
) -> None:
    config = plugged_table(plugin="broken")
    with pytest.raises(ConfigError, match="no plugin 'broken'"):
        await plugged_in(config, [LDAP], leeway=30.0, clock=HandClock(), containment=Containment())
    assert source.stops == 1


@pytest.mark.parametrize("which", ["verifier", "source"])
async def test_a_plugin_that_cannot_start_lets_nobody_in(issuer: IssuerStub, which: str) -> None:
    config = plugged_table(plugin="broken" if which == "verifier" else "acme")
    source = RoleSourceConfig(plugin="broken" if which == "source" else "ldap", name="ldap")
    terms: dict[str, Any] = {
        "leeway": 30.0,
        "clock": issuer.clock,
        "containment": Containment(),
    }
    with pytest.raises(ConfigError, match="no plugin 'broken'"):
        await plugged_in(config, (source,), **terms)
    plugged = await plugged_in(config, (source,), lenient=True, **terms)
    assert not plugged.is_whole
    assert plugged.verifier is not None
    assert plugged.roles is not None
    made = built(config, plugged, issuer)
    assert not made.is_whole
    (asked,) = plugged.roles.sources
    if which == "verifier":
        assert plugged.verifier.needs_call(Secret("t"))
        assert not plugged.verifier.still_valid(verdict(begin=NOW))
        for call in (
            partial(plugged.verifier.verify, Secret("t"), now=NOW),
            plugged.verifier.probe,
        ):
            with pytest.raises(
                IssuerUnavailable, match=r"issuer\[corp\].plugin: no plugin 'broken'"
            ):
                await call()
    else:
        assert asked.state.is_open
        assert asked.state.last_error == "role_source[ldap].plugin: no plugin 'broken'"
        async with anyio.create_task_group() as tasks:
            asked.begin(tasks)
            with pytest.raises(IssuerUnavailable, match="no plugin 'broken'"):
                await asked.answer(verdict(begin=NOW).principal, now=NOW)
            tasks.cancel_scope.cancel()
    await made.close()


async def test_what_is_asked_for_groups_is_one_of_the_plugins_and_leaves_default_roles_alone(
    source: ScriptedSource,
) -> None:
    group = "aaaaaaaa-0000-4000-8000-00000000000A"
    config = plugged_table(default_roles=("all",), roles={group: "trader", "kdb.read": "reader"})
    clock, stopped = HandClock(), ScriptedSource()
    terms: dict[str, Any] = {"leeway": 1.0, "clock": clock, "containment": Containment()}
    for sources, left in (((), ("all",)), ((LDAP,), ())):
        groups = asked(stopped, clock, name="Microsoft Graph")
        plugged = await plugged_in(config, sources, groups=groups, **terms)
        assert plugged.roles is not None
        assert plugged.roles.groups is groups
        assert plugged.roles.group_roles == {group.lower(): "trader"}
        assert plugged.config.default_roles == left
        assert plugged.is_whole
        await plugged.stop()
    with pytest.raises(ConfigError, match="no plugin 'broken'"):
        await plugged_in(plugged_table(plugin="broken"), (), groups=groups, **terms)
    assert (stopped.stops, source.stops) == (3, 1)


async def test_plugins_that_are_there_are_whole_whatever_is_forgiven() -> None:
    config, clock = plugged_table(), HandClock()
    plugged = await plugged_in(
        config, (LDAP,), leeway=1.0, clock=clock, containment=Containment(), lenient=True
    )
    assert plugged.is_whole
    await plugged.stop()
