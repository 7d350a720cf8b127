"""What the configuration says of signing in: at which issuer, as which program, asking for what.

The daemon tells neither, so whoever signs somebody in, or tells a program how to, reads its file.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from sessiond.config import Config, IssuerConfig
from sessiond.ctl.client import ControlError
from sessiond.init.vendors import scope_of_api, vendor_of

DEFAULT = Path("/etc/sessiond/config.toml")  # that the unit names


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """The client that users sign in with, and what it asks for."""

    client_id: str
    secret_file: str  # empty: no file is named
    is_public: bool  # it proves itself by nothing: it can run on a person's machine
    scope: str  # that makes a token one for kdb+; empty: none is known
    audience: str  # sent as a parameter; empty: not sent


def issuers_named(config: Config, name: str | None) -> list[IssuerConfig]:
    """Return the issuer of that name, or all where none is named.

    Raises:
        ControlError: There is none of that name.
    """
    named = [each for each in config.issuers if name in (None, each.name)]
    if not named:
        there = ", ".join(each.name for each in config.issuers)
        raise ControlError(f"there is no issuer {name}; there are: {there}", os.EX_NOINPUT)
    return named


def program_of(issuer: IssuerConfig) -> Program:
    """Return the program that refresh tokens are bound to."""
    client_id = issuer.refresh_client_id or issuer.client_id
    is_own = client_id == issuer.client_id and issuer.client_auth != "none"
    file = issuer.refresh_client_secret_file or (issuer.client_secret_file if is_own else "")
    asks_audience = vendor_of(issuer.issuer).asks_audience and bool(issuer.audience)
    return Program(
        client_id=client_id,
        secret_file=file,
        is_public=not file and not is_own,
        scope=_scope(issuer),
        audience=issuer.audience[0] if asks_audience else "",
    )


def _scope(issuer: IssuerConfig) -> str:
    if issuer.refresh_scope or not issuer.required_scope:
        return issuer.refresh_scope
    if issuer.kind == "entra" and issuer.audience:
        return scope_of_api(issuer.audience[0], issuer.required_scope)
    return issuer.required_scope
