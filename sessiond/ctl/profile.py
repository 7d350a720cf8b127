"""What `sessiond-login` must know to sign people in for one issuer: a `[profile.NAME]` table.

Its keys, and their defaults, are those of `sessiond_login.profile.Profile`; what is as the default
is left out. Nothing goes into it but what is named here: it lies on every person's machine.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from sessiond.config import IssuerConfig
from sessiond.core.errors import ConfigError
from sessiond.ctl.configured import Program, program_of
from sessiond.init.vendors import Key, vendor_of
from sessiond.init.written import comment, lines_of, toml

USER_CLAIM = "preferred_username"
SCOPES = ("openid", "profile", "offline_access")
LOOPBACK = ("localhost", "127.0.0.1", "::1")  # what sessiond-login takes for its own machine
_BARE = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the operator has said beyond the configuration. None: nothing."""

    name: str | None = None  # of the profile; else as its issuer
    send: str | None = None
    flow: str = "browser"
    scope: str | None = None
    resource: str | None = None


def profile(issuer: IssuerConfig, wanted: Wanted) -> list[str]:
    """Return the table's lines.

    Raises:
        ConfigError: There can be none for this issuer.
    """
    program = program_of(issuer)
    _refuse_unfit(issuer, program, wanted)
    name = wanted.name or issuer.name
    lines = [f"[profile.{name if _BARE.fullmatch(name) else toml(name)}]"]
    lines += lines_of(_keys(issuer, program, wanted))
    if issuer.ca_file:
        lines += comment(
            "The issuer's certificate is signed by authorities that sessiond has in a file of its "
            "own machine. Where people's machines do not trust them anyway, copy it there, and "
            "say where it is:"
        )
        lines.append(f"# ca_file = {toml(issuer.ca_file)}")
    return lines


def notes(issuer: IssuerConfig) -> Iterator[str]:
    """Yield what the operator has to see to beside the file."""
    if issuer.ca_file:
        yield (
            f"issuer[{issuer.name}]: copy {issuer.ca_file} to people's machines, and write into "
            "ca_file of the profile where it is there; or have those machines trust it"
        )
    if issuer.discovery:
        yield (
            f"issuer[{issuer.name}]: sessiond-login looks for the metadata below {issuer.issuer}, "
            f"and not at {issuer.discovery}: see that it is there too"
        )


def _refuse_unfit(issuer: IssuerConfig, program: Program, wanted: Wanted) -> None:
    where = f"issuer[{issuer.name}]"
    if issuer.verify == "plugin":
        raise ConfigError(
            f"{where} is verified by a plugin, wanted an OpenID Connect issuer that people sign in "
            "at: have their programs get tokens as that plugin's documentation says"
        )
    if not program.is_public:
        raise ConfigError(
            f"{where} has people sign in as {program.client_id}, a confidential client, wanted a "
            "public one, since a program on a person's machine can keep no secret: register one, "
            "and name it in refresh_client_id"
        )
    if not program.client_id:
        raise ConfigError(
            f"{where} names no client, wanted the public one that people sign in with: write "
            "refresh_client_id"
        )
    if issuer.issuer.startswith("http:") and urlsplit(issuer.issuer).hostname not in LOOPBACK:
        raise ConfigError(
            f"{where} is {issuer.issuer}, wanted https://, or one of {', '.join(LOOPBACK)} for a "
            "test: sessiond-login calls no other without TLS"
        )
    _refuse_unfit_scopes(issuer, program, wanted)
    if issuer.prove_by_refresh and wanted.send == "access":
        raise ConfigError(
            f"{where} has prove_by_refresh, wanted a refresh token with each login: leave out "
            "--send access"
        )


def _refuse_unfit_scopes(issuer: IssuerConfig, program: Program, wanted: Wanted) -> None:
    where = f"issuer[{issuer.name}]"
    if issuer.kind == "entra" and not (program.scope or wanted.scope):
        raise ConfigError(
            f"{where} names no scope of the API, wanted one, since without it Entra's tokens are "
            "for Graph: write refresh_scope"
        )
    if issuer.kind != "entra" and "openid" not in _scopes(issuer, program, wanted):
        raise ConfigError(
            f"{where} is not to be asked for openid, wanted that among --scope: without it no "
            "issuer says who has signed in"
        )


def _keys(issuer: IssuerConfig, program: Program, wanted: Wanted) -> Iterator[Key]:
    if issuer.kind != "oidc":
        yield Key("kind", issuer.kind, "Signed in by Microsoft's own library.")
    yield Key("issuer", issuer.issuer, "The `iss` of its tokens, letter by letter.")
    yield Key("client_id", program.client_id, "The program that people sign in with: no secret.")
    scopes = _scopes(issuer, program, wanted)
    if scopes != SCOPES:
        yield Key("scopes", scopes, "What it asks for.")
    if wanted.send == "access" or (wanted.send is None and not _can_refresh(issuer)):
        yield Key(
            "send", "access", "No refresh token goes to q: sessions end with their access token."
        )
    if issuer.rotation != "strict":
        yield Key("rotation", issuer.rotation, "Old refresh tokens stay good: both sides refresh.")
    if wanted.flow != "browser":
        yield Key("flow", wanted.flow, "How people sign in.")
    claim = _user_claim(issuer)
    if claim != USER_CLAIM:
        yield Key("user_claim", claim, "The name that is typed at q.")
    if program.audience:
        yield Key("audience", program.audience, "Without it tokens are not for kdb+.")
    if wanted.resource:
        yield Key("resource", wanted.resource, "Whom the tokens are to be for (RFC 8707).")
    if issuer.insecure_http:
        yield Key("insecure_http", True, "For tests: http:// on this very machine.")


def _scopes(issuer: IssuerConfig, program: Program, wanted: Wanted) -> tuple[str, ...]:
    if wanted.scope is not None:  # not every issuer knows the usual ones
        return tuple(wanted.scope.split())
    of_kdb = program.scope.split()
    if issuer.kind == "entra":
        return tuple(each for each in of_kdb if each not in SCOPES)  # which its library adds
    usual = list(SCOPES)
    if vendor_of(issuer.issuer).offline_ends_sign_on:  # there refresh tokens come unasked
        usual.remove("offline_access")
    return tuple(dict.fromkeys((*usual, *of_kdb)))


def _can_refresh(issuer: IssuerConfig) -> bool:
    """Say whether a refresh brings sessiond a token for kdb+: Entra's default is one for Graph."""
    return issuer.kind != "entra" or bool(issuer.refresh_scope)


def _user_claim(issuer: IssuerConfig) -> str:
    """Return the claim of id_tokens that says the name which sessiond will find."""
    if issuer.verify == "introspection" and issuer.user_claim == "username":
        return USER_CLAIM  # the other is a member of the issuer's answers (RFC 7662, 2.2)
    if issuer.user_claim == "sub":
        return vendor_of(issuer.issuer).name_claim or issuer.user_claim
    return issuer.user_claim
