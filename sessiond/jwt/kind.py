"""Of what kind a token is, and whether it stands for a user who may bear it.

One rule for all who verify: for claims that are signed, for an issuer's answer about a token, and
for what a token states of itself. Issuers give tokens of every kind the same look, and each has
marks of its own by which they can be told apart.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

from sessiond.core.claim_values import Claims, words_of
from sessiond.core.errors import Refusal, TokenRejected
from sessiond.core.printable import any_of, seen

# What only other tokens have: id_tokens (OpenID Connect Core, 2 and 3.3.2.11), SETs and logout
# tokens (RFC 8417, 2.2).
_ID_TOKEN_CLAIMS = frozenset({"nonce", "at_hash", "c_hash", "s_hash"})
_FOREIGN_CLAIMS = _ID_TOKEN_CLAIMS | {"events"}
# Where issuers give all their tokens one header `typ`, a claim says the kind.
_FOREIGN_KINDS = {
    "typ": frozenset({"id", "refresh", "offline", "logout"}),  # Keycloak
    "token_use": frozenset({"id", "refresh", "id_token", "refresh_token"}),  # Cognito, Hydra
}
# The client that a token was issued to: RFC 9068, 2.2; OpenID Connect Core, 2; Okta; Entra v1.
_CLIENTS = ("client_id", "azp", "cid", "appid")
_SERVICE_ACCOUNT = "service-account-"  # Keycloak: then the client's id
# Keycloak 26: session, token and grant, two letters each; `cc` is client_credentials.
_BY_CLIENT_CREDENTIALS = re.compile(r"[a-z]{4}cc:")


@dataclass(frozen=True, slots=True, kw_only=True)
class KindRules:
    """What one issuer's access tokens may have that others' have not."""

    tolerated: frozenset[str] = frozenset()  # claims of id_tokens
    allow_clients: frozenset[str] = frozenset()  # whose tokens may stand for no user


NO_EXCEPTIONS = KindRules()


def check_no_id_token(claims: Claims, rules: KindRules) -> None:
    """Refuse what is signed by the same keys but no access token.

    Raises:
        TokenRejected: WRONGTYPE: an id_token, a logout token or another SET.
    """
    if _FOREIGN_CLAIMS.isdisjoint(claims):
        return
    foreign = _FOREIGN_CLAIMS - (rules.tolerated & _ID_TOKEN_CLAIMS) & claims.keys()
    if foreign:
        raise TokenRejected(
            Refusal.WRONGTYPE,
            f"it has {any_of(foreign)}, wanted an access token: id_tokens and event tokens have "
            "that; present the access token, or see tolerated_claims",
        )


def check_kind(claims: Claims, rules: KindRules) -> None:
    """Refuse what is no user's bearer token, by whatever says so.

    Raises:
        TokenRejected: WRONGTYPE: it says that it is another kind of token, it is bound to a key,
            or it stands for a program.
    """
    for claim, kinds in _FOREIGN_KINDS.items():
        kind = claims.get(claim)
        if isinstance(kind, str) and kind.lower() in kinds:
            raise _wrong_type(f"{claim} is {seen(kind)}", "present the access token")
    check_not_bound(claims)
    mark = _mark_of_a_program(claims)
    if mark is not None and not _is_allowed(claims, rules):
        raise _of_a_program(mark, claims)


def check_not_bound(claims: Claims) -> None:
    """Refuse what is good only with a proof of its key, which kdb+ carries none of.

    Raises:
        TokenRejected: WRONGTYPE: `cnf` (RFC 7800) is there, as in tokens bound by DPoP (RFC 9449,
            6) or mutual TLS (RFC 8705, 3).
    """
    if claims.get("cnf") is not None:
        raise _wrong_type(
            "cnf binds it to a key", "have the program ask without DPoP and client certificate"
        )


def check_entra_kind(claims: Claims, rules: KindRules) -> None:
    """Refuse Entra's tokens that are no user's access token: they look the same but for `scp`.

    Raises:
        TokenRejected: WRONGTYPE: an id_token has no `scp`, an app-only token has none either, and
            its `oid` is its `sub`.
    """
    is_app = claims.get("oid") is not None and claims.get("oid") == claims.get("sub")
    if is_app or claims.get("idtyp") == "app":
        if not _is_allowed(claims, rules):
            raise _of_a_program("oid is equal to sub", claims)
    elif not words_of(claims.get("scp")):
        raise _wrong_type(
            f"scp is {seen(claims['scp']) if 'scp' in claims else 'missing'}, so it is an id_token "
            "or stands for a program",
            "have the program ask for a scope of the API",
        )


def _mark_of_a_program(claims: Claims) -> str | None:
    """Return what says that a token stands for a program; None: nothing does.

    That a token has a `client_id` says nothing: most users' tokens have one (RFC 9068, 2.2).
    """
    if claims.get("idtyp", "user") != "user":  # Entra
        return f"idtyp is {seen(claims['idtyp'])}"
    for claim in ("gty", "grant_type"):  # Auth0, FusionAuth; SAP XSUAA, Cloud Foundry's UAA
        if claim in claims and _names_client_credentials(claims[claim]):
            return f"{claim} is {seen(claims[claim])}"
    if claims.get("aut") == "APPLICATION":  # WSO2; of a user it is APPLICATION_USER
        return 'aut is "APPLICATION"'
    if claims.get("sub_type") == "client":  # Oracle's identity domains
        return 'sub_type is "client"'
    subject = claims.get("sub")
    if isinstance(subject, str) and subject.removesuffix("@clients") in _clients(claims):
        return "sub is the client"  # RFC 9068, 2.2; Auth0 adds the suffix
    if _service_accounts(claims):
        return f"the name begins with {_SERVICE_ACCOUNT}"
    return _mark_of_keycloak(claims)


def _names_client_credentials(value: object) -> bool:
    return any(word.replace("_", "-") == "client-credentials" for word in words_of(value))


def _mark_of_keycloak(claims: Claims) -> str | None:
    """Say how a service account is known whose name was left out. A payload's `typ` is Keycloak's.

    Only service accounts get `client_id` into the token itself, and have no session; introspection
    adds it for users too, but those have `sid`, `session_state` before version 20.
    """
    if claims.get("typ") != "Bearer":
        return None
    jti = claims.get("jti")
    if isinstance(jti, str) and _BY_CLIENT_CREDENTIALS.match(jti):
        return "jti names the grant client_credentials"
    is_named = claims.get("client_id") is not None and claims["client_id"] == claims.get("azp")
    if is_named and not {"sid", "session_state", "auth_time"} & claims.keys():
        return "there is a client_id and no session of a user"
    return None


def _is_allowed(claims: Claims, rules: KindRules) -> bool:
    """Say whether a program may come: every client that is stated must be a listed one."""
    clients = _clients(claims)
    return bool(clients) and clients <= rules.allow_clients


def _clients(claims: Claims) -> set[str]:
    """Return the clients that are stated; where none is, those that the names are of.

    A name is the weaker word: Keycloak writes it in lower case, and others let it be chosen.
    """
    stated = [claims[name] for name in _CLIENTS if name in claims]
    return {each for each in stated if isinstance(each, str) and each} or _service_accounts(claims)


def _service_accounts(claims: Claims) -> set[str]:
    """Return the clients whose service accounts the names are."""
    names = [claims.get("preferred_username"), claims.get("username")]
    return {
        name.removeprefix(_SERVICE_ACCOUNT)
        for name in names
        if isinstance(name, str) and name.startswith(_SERVICE_ACCOUNT)
    }


def _of_a_program(mark: str, claims: Claims) -> TokenRejected:
    clients: Collection[str] = _clients(claims)
    name = f" {any_of(clients)}" if clients else ""
    return _wrong_type(
        f"{mark}: it stands for a program",
        f"sign a user in, or allow_clients must list{name or ' it'}",
    )


def _wrong_type(saw: str, do: str) -> TokenRejected:
    return TokenRejected(Refusal.WRONGTYPE, f"{saw}, wanted a user's bearer access token: {do}")
