"""The issuers: asked with the daemon's own code, and their clocks held against this machine's."""

from collections.abc import Iterator
from pathlib import Path

import anyio

from sessiond.clock import SystemClock
from sessiond.config import Config, IssuerConfig
from sessiond.core.errors import ClientRefused, ConfigError, IssuerUnavailable, UnusableAnswer
from sessiond.core.secret import Secret
from sessiond.ctl.doctor.files import Where, credential_file
from sessiond.ctl.doctor.finding import Finding, ok, warning, wrong
from sessiond.ctl.doctor.keys import read_secret
from sessiond.issuers.build import RefreshLimits, build_issuer
from sessiond.issuers.http import trust
from sessiond.issuers.our_clients import ClientSecrets

SKEW = 5.0  # seconds; an HTTP-date has whole ones, and the answer has been under way


def issuers(config: Config, where: Where) -> Iterator[Finding]:
    """Ask each issuer what needs no user's token, as the daemon's trial calls do."""
    for each in config.issuers:
        check = f"issuer {each.name}"
        if each.verify == "plugin":
            yield ok(check, f"left to the plugin {each.plugin}")
            continue
        try:
            yield from anyio.run(_ask, config, each, where)
        except PermissionError as error:
            found = f"not asked: {error.filename} cannot be read"
            yield warning(check, found, "run this as root, or as sessiond")
        except (ConfigError, OSError) as error:
            yield wrong(check, str(error), "mend the configuration")


async def _ask(config: Config, each: IssuerConfig, where: Where) -> list[Finding]:
    check = f"issuer {each.name}"
    client_secret = _secret(each, "client_secret", where)
    if each.verify == "introspection" and client_secret is None:
        found = "not asked: there is no client secret to be seen"
        return [warning(check, found, "run this as root while the daemon runs")]
    issuer = build_issuer(
        each,
        leeway=config.login.leeway,
        refresh=RefreshLimits(timeout=config.refresh.timeout, concurrency=1),
        secrets=ClientSecrets(
            client=client_secret, refresh=_secret(each, "refresh_client_secret", where)
        ),
        clock=SystemClock(),
        tls=trust(each.ca_file),
    )
    try:
        await issuer.verifier.probe()
    except ClientRefused as error:
        return [wrong(check, str(error), "see how the issuer has registered this client")]
    except UnusableAnswer as error:
        return [wrong(check, str(error), f"it answers; see this issuer's table and {each.issuer}")]
    except IssuerUnavailable as error:
        return [
            wrong(check, str(error), f"see that issuer, and the way to it: curl -v {each.issuer}")
        ]
    finally:
        ahead = issuer.connections[0].ahead
        await issuer.close()
    return [ok(check, f"{each.issuer} answers, for {each.verify}"), *_clock(config, each, ahead)]


def _clock(config: Config, each: IssuerConfig, ahead: float | None) -> Iterator[Finding]:
    """Judge the clock by the Date of the issuer's answer (RFC 9110, 6.6.1)."""
    check = f"clock by {each.name}"
    if ahead is None:
        yield warning(check, "its answers have no date of their own", "see that time is kept: NTP")
        return
    found = f"{abs(ahead):.0f} s {'behind' if ahead > 0 else 'ahead of'} the issuer's"
    if abs(ahead) > config.login.leeway:
        yield wrong(check, found, "set the clock: fresh tokens are refused, or dead ones let in")
    elif abs(ahead) > SKEW:
        yield warning(check, found, "see that time is kept: NTP")
    else:
        yield ok(check, f"within {SKEW:.0f} s of the issuer's")


def _secret(each: IssuerConfig, name: str, where: Where) -> Secret | None:
    file = getattr(each, f"{name}_file")
    path = Path(file) if file else credential_file(f"{each.name}.{name}", where)
    return None if path is None else read_secret(path)
