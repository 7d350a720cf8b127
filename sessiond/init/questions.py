"""The questions, for whatever the options leave open."""

import sys
from collections.abc import Iterable, Mapping

import click

from sessiond.init.answers import Answers, Given
from sessiond.init.metadata import ENTRA_ISSUER, Metadata, spelled
from sessiond.init.placing import group_of
from sessiond.init.vendors import ENTRA, Vendor

ISSUER = "Issuer: its URL, or the id of an Entra tenant"
NO_ROLE = "-"  # typed where roles are not wanted: an empty line is the default


def issuer_of(given: Given) -> str:
    """Return the issuer's URL as it was meant. Raises as `asked`."""
    if given.entra is not None and given.issuer is not None:
        raise click.UsageError("--issuer and --entra name the same thing: give one")
    if given.entra is not None and "://" not in given.entra:
        return ENTRA_ISSUER.format(tenant=given.entra.strip().lower())
    return spelled(given.entra or given.issuer or asked(given, ISSUER, option="--issuer"))


def answers_of(given: Given, vendor: Vendor, issuer: str, metadata: Metadata | None) -> Answers:
    """Return everything, asking where it is left open. Raises as `asked`."""
    verify = given.verify or ("jwt" if metadata is None else metadata.verify)
    audience = given.audience or _listed(
        asked(given, vendor.audience_is, option="--audience", default=vendor.audience or None)
    )
    program = _or_asked(
        given.program,
        given,
        "Client id of the program that users sign in with; empty: not known yet",
        option="--program",
        default="",
    )
    scope = _or_asked(
        given.scope,
        given,
        "Scope that each access token must have; empty: none",
        option="--scope",
        default=vendor.scope,
    )
    if vendor is ENTRA and not scope:
        raise click.UsageError("--scope: Entra's access tokens are told from id_tokens by it")
    q_user = _or_asked(given.q_user, given, "User that q runs as", option="--q-user", default="kdb")
    return Answers(
        vendor=vendor,
        name=given.name or vendor.word,
        issuer=issuer,
        verify=verify,
        audience=audience,
        program=program,
        scope=scope,
        roles=_roles(given, vendor),
        client_id=given.client_id or "sessiond",
        q_user=q_user,
        q_group=given.q_group or group_of(given.root, q_user),
        ca_file=given.ca_file,
        insecure_http=given.insecure_http,
        config=given.config,
    )


def asked(given: Given, question: str, *, option: str, default: str | None = None) -> str:
    """Return the answer of whoever sits there, or the default where nobody does.

    Raises:
        click.UsageError: Nobody is there to ask, and there is no default.
        click.Abort: Interrupted.
    """
    if given.yes and default is not None:
        return default
    if given.yes:
        raise click.UsageError(f"{option} is needed where nothing may be asked ({question})")
    try:
        answer: str = click.prompt(question, default=default, show_default=bool(default))
    except click.Abort:
        if sys.stdin.isatty():
            raise
        raise click.UsageError(f"there is nobody to ask: give {option}, or --yes") from None
    return answer.strip()


def _or_asked(value: str | None, given: Given, question: str, *, option: str, default: str) -> str:
    return value if value is not None else asked(given, question, option=option, default=default)


def _roles(given: Given, vendor: Vendor) -> Mapping[str, str]:
    if given.role:
        return _parsed(given.role)
    default = ",".join(f"{value}={role}" for value, role in vendor.roles.items())
    question = f"Roles, as VALUE=ROLE with commas between; {NO_ROLE} for none"
    return _parsed(asked(given, question, option="--role", default=default or NO_ROLE).split(","))


def _parsed(roles: Iterable[str]) -> dict[str, str]:
    found = {}
    for each in filter(None, (role.strip() for role in roles)):
        value, separator, role = each.partition("=")
        if each == NO_ROLE:
            continue
        if not separator or not value.strip() or not role.strip():
            raise click.UsageError(f"--role {each}: must be VALUE=ROLE, such as kdb.read=reader")
        found[value.strip()] = role.strip()
    return found


def _listed(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (each.strip() for each in text.split(","))))
