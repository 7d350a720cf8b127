"""The issuers, built from the configuration."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import anyio.to_thread

from sessiond.clock import Clock
from sessiond.core.errors import ConfigError
from sessiond.core.secret import Secret
from sessiond.edge import credentials
from sessiond.edge.config import Config, IssuerConfig
from sessiond.edge.oidc.build import Issuer, RefreshLimits, build_issuer
from sessiond.edge.oidc.http import trust


@asynccontextmanager
async def opened_issuers(
    config: Config, clock: Clock, environ: Mapping[str, str]
) -> AsyncIterator[dict[str, Issuer]]:
    """Build the issuers; nothing is asked of them yet."""
    async with AsyncExitStack() as stack:
        built: dict[str, Issuer] = {}
        for each in config.issuers:
            try:
                tls = await anyio.to_thread.run_sync(trust, each.ca_file)
            except OSError as error:
                raise ConfigError(f"issuer[{each.name}].ca_file: {error}") from error
            issuer = build_issuer(
                each,
                leeway=config.login.leeway,
                refresh=RefreshLimits(
                    timeout=config.refresh.timeout, concurrency=config.refresh.concurrency
                ),
                client_secret=_secret(each, "client_secret_file", environ),
                refresh_secret=_secret(each, "refresh_client_secret_file", environ),
                clock=clock,
                tls=tls,
            )
            stack.push_async_callback(issuer.close)
            built[each.name] = issuer
        yield built


def _secret(issuer: IssuerConfig, key: str, environ: Mapping[str, str]) -> Secret | None:
    """Read one of an issuer's secrets; its credential is called ISSUER.KEY without `_file`."""
    return credentials.secret(
        getattr(issuer, key),
        key=f"issuer[{issuer.name}].{key}",
        credential=f"{issuer.name}.{key.removesuffix('_file')}",
        environ=environ,
    )
