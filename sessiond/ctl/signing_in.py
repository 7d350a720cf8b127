"""`sessionctl test`: signs one user in with a device code, and explains the login check by check.

The configuration says whom to ask and as which program, since the daemon tells neither; the daemon
says what the login would come to. The token is in this process's memory alone, and for one answer.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import click

from sessiond import config as configuration
from sessiond.clock import SystemClock
from sessiond.config import Config, IssuerConfig
from sessiond.core.errors import IssuerUnavailable, SignInRefused
from sessiond.core.password import MARK, stated_claims
from sessiond.core.secret import Secret
from sessiond.ctl import show
from sessiond.ctl.asking import Target, as_json, config_too, print_found
from sessiond.ctl.client import Client as Control
from sessiond.ctl.client import ControlError
from sessiond.ctl.configured import DEFAULT, issuers_named, program_of
from sessiond.ctl.explained import explanation_of
from sessiond.init.vendors import vendor_of

if TYPE_CHECKING:  # what it imports would slow down the other commands
    from sessiond.refresher import Tokens

TIMEOUT = 10.0  # seconds for one question to the issuer
# What is wrong, and who can mend it (RFC 6749, 5.2; RFC 8628, 3.5; authorization_declined is
# Entra's word).
_ADVICE = {
    "expired_token": ("nobody has signed in in time: begin again", os.EX_TEMPFAIL),
    "access_denied": ("the user, or a policy of the issuer, refused", os.EX_NOPERM),
    "authorization_declined": ("the user, or a policy of the issuer, refused", os.EX_NOPERM),
    "invalid_scope": ("see refresh_scope and required_scope, or give --scope", os.EX_CONFIG),
    "invalid_target": ("see whether the issuer knows --resource", os.EX_CONFIG),
    "invalid_request": (
        "it wants another request: give --scope, or --resource where it has one",
        os.EX_CONFIG,
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceClient:
    """The client that signs the user in here, and what it sends."""

    client_id: str
    secret: Secret | None
    asked: Mapping[str, str]  # members of the device authorization request


@click.command()
@click.option("--issuer", "name", metavar="NAME", help="Which one, where there are several.")
@click.option("--user", metavar="U", help="The name as typed at q; else what the token says.")
@click.option("--client", metavar="ID", help="Sign in as this public client instead.")
@click.option("--scope", metavar="SCOPES", help="Ask for these; else refresh_scope.")
@click.option("--resource", metavar="URI", help="Whom the token is to be for (RFC 8707).")
@as_json
@config_too
@click.pass_context
def test(
    context: click.Context,
    as_json: bool,
    name: str | None,
    user: str | None,
    client: str | None,
    scope: str | None,
    resource: str | None,
) -> None:
    """Sign one user in with a device code, and explain the login check by check.

    The issuer and the program come from the configuration: --config, else
    /etc/sessiond/config.toml. The daemon is asked as `explain` asks it: nobody is let in, and the
    token is neither shown nor kept. It ends with 77 where the login would be refused.
    """
    target: Target = context.obj
    config = configuration.load(target.config or DEFAULT)
    issuer = _issuer(config, name)
    program = _asking(issuer, client=client, scope=scope, resource=resource)
    socket = target.control or config.listen.control
    with Control(socket) as control:
        # Whoever may not have it explained hears so before anybody signs in for nothing.
        control.post("/v1/explain", {"user": "nobody", "password": "no token"})
        tokens = anyio.run(_sign_in, issuer, program)
        typed = user or _stated_name(issuer, tokens.access_token)
        body = {"user": typed, "password": _password(issuer, tokens)}
        found = control.post("/v1/explain", body)
    print_found(found, as_json, *explanation_of(found))
    context.exit(os.EX_OK if found["accepted"] else os.EX_NOPERM)


def _issuer(config: Config, name: str | None) -> IssuerConfig:
    issuer, *others = issuers_named(config, name)
    if others:
        names = ", ".join(each.name for each in config.issuers)
        raise click.UsageError(f"--issuer NAME is needed, one of: {names}")
    if issuer.verify == "plugin":
        raise ControlError(
            f"issuer {issuer.name} is a plugin's, and signs nobody in here: "
            "sessionctl explain --user NAME < token",
            os.EX_CONFIG,
        )
    return issuer


def _asking(
    issuer: IssuerConfig, *, client: str | None, scope: str | None, resource: str | None
) -> DeviceClient:
    """Return the program as the configuration has it, but for what was said otherwise."""
    program = program_of(issuer)
    usual = program.scope or "openid"
    if issuer.prove_by_refresh:
        usual = f"{usual} offline_access"
    asked = {"scope": scope or usual}
    if resource is not None:
        asked["resource"] = resource
    if program.audience:
        asked["audience"] = program.audience  # without it, a token for nobody else's checks
    if client is not None:
        return DeviceClient(client_id=client, secret=None, asked=asked)
    return DeviceClient(
        client_id=program.client_id,
        secret=_secret(Path(program.secret_file)) if program.secret_file else None,
        asked=asked,
    )


def _secret(path: Path) -> Secret:
    from sessiond.ctl.doctor.keys import read_secret  # what it imports would slow down the others

    try:
        return read_secret(path)
    except OSError as error:
        raise ControlError(
            f"{path} cannot be read: {error.strerror}; run this as root, or give --client with "
            "a public client",
            os.EX_NOPERM,
        ) from error


async def _sign_in(issuer: IssuerConfig, program: DeviceClient) -> "Tokens":
    """Return the tokens of whoever signs in."""
    # Imported here, so that the other commands do not wait for what asks issuers.
    from sessiond.issuers.client import Client
    from sessiond.issuers.device import DeviceGrant, device_endpoints
    from sessiond.issuers.discovery import SUFFIX
    from sessiond.issuers.http import IssuerHttp, trust

    clock = SystemClock()
    http = IssuerHttp(
        timeout=TIMEOUT,
        concurrency=1,
        clock=clock,
        tls=trust(issuer.ca_file),
        insecure_http=issuer.insecure_http,
    )
    url = issuer.discovery or issuer.issuer.rstrip("/") + SUFFIX
    try:
        async with http:
            endpoints = await device_endpoints(
                http, issuer=issuer.issuer, url=url, token_endpoint=issuer.token_endpoint
            )
            if endpoints is None:
                raise _no_device_codes(issuer)
            confidential = "basic" if issuer.client_auth == "none" else issuer.client_auth
            client = Client(
                client_id=program.client_id,
                method="none" if program.secret is None else confidential,
                secret=program.secret,
                clock=clock,
            )
            grant = DeviceGrant(http=http, endpoints=endpoints, client=client, clock=clock)
            code = await grant.begin(program.asked)
            click.echo(f"Visit {code.url} and enter the code: {code.user_code}", err=True)
            if code.complete_url:
                click.echo(f"or visit {code.complete_url}", err=True)
            click.echo(f"The code is good for {code.expires_in / 60:.0f} min.", err=True)
            return await grant.finish(code)
    except SignInRefused as refused:
        raise _told(refused, refused.error, issuer, program) from refused
    except IssuerUnavailable as error:
        raise ControlError(
            f"{error}; see sessionctl doctor, and curl -v {url}", os.EX_UNAVAILABLE
        ) from error


def _no_device_codes(issuer: IssuerConfig) -> ControlError:
    return ControlError(
        f"{issuer.issuer} has no device codes (its metadata names no "
        "device_authorization_endpoint): get a token by a program that users have, and then "
        "sessionctl explain --user NAME < token",
        os.EX_UNAVAILABLE,
    )


def _told(
    refused: Exception, error: str, issuer: IssuerConfig, program: DeviceClient
) -> ControlError:
    """Return what to do about an OAuth error."""
    if error in _ADVICE:
        advice, code = _ADVICE[error]
        return ControlError(f"{refused}\n{advice}", code)
    step = vendor_of(issuer.issuer).device_step.format(program=program.client_id)
    return ControlError(
        f"{refused}\nthe client {program.client_id} must be one that users sign in with "
        f"(refresh_client_id, or --client), and may use device codes:\n{step}",
        os.EX_CONFIG,
    )


def _password(issuer: IssuerConfig, tokens: "Tokens") -> str:
    """Return what the user's program would send; explaining it spends no refresh token."""
    access = f"{MARK}{tokens.access_token.reveal()}"
    if not issuer.prove_by_refresh or tokens.refresh_token is None:
        return access
    return f"{access};{tokens.refresh_token.reveal()}"


def _stated_name(issuer: IssuerConfig, access: Secret) -> str:
    """Return the name that the token itself says, or ask for it."""
    name = (stated_claims(access) or {}).get(issuer.user_claim)
    if isinstance(name, str) and name:
        click.echo(f"Signed in: {show.plain(name)}", err=True)
        return name
    typed: str = click.prompt("Name, as the user types it at q", err=True)
    return typed
