"""What the gate makes of a verdict: a login that it lets through, or none."""

from datetime import datetime
from typing import NamedTuple

from sessiond.core.errors import Refusal, TokenRejected
from sessiond.core.password import Presented
from sessiond.core.principal import is_name, same_name
from sessiond.core.printable import any_of, seen
from sessiond.core.verdict import Verdict
from sessiond.gate.gate_issuer import GateIssuer
from sessiond.gate.presented_login import PresentedLogin


class VerifiedLogin(NamedTuple):
    """An accepted login: what was verified, and the tokens it came with."""

    verdict: Verdict
    presented: Presented
    client: str  # ours, that they were given to


def judged(verdict: Verdict, issuer: GateIssuer, login: PresentedLogin) -> VerifiedLogin:
    """Return what a login comes to: the token must be the typed user's, who may come from here.

    Where nobody typed a name it is the token's user's.

    Raises:
        TokenRejected: USERMISMATCH or WRONGISSUER.
    """
    verified = verdict.principal.name
    if login.user is None:
        _check_untyped(verified)
    elif not same_name(login.user, verified):
        raise TokenRejected(
            Refusal.USERMISMATCH,
            f"the typed name is {seen(login.user)}, wanted {seen(verified)}, whose token it is: "
            "type that one, or mend user_claim",
        )
    if not issuer.route.admits(verified):
        raise TokenRejected(
            Refusal.WRONGISSUER,
            f"the user is {seen(verified)}, wanted {any_of(issuer.route.users)}, for whom "
            f"issuer {issuer.route.name!r} answers: sign in at another, or mend users",
        )
    client = issuer.client if login.issued is None else login.issued.client
    return VerifiedLogin(verdict, login.presented, client)


def judged_late(
    verdict: Verdict, issuer: GateIssuer, login: PresentedLogin, *, now: datetime
) -> VerifiedLogin:
    """Return what a login comes to whose verdict was waited for.

    Raises:
        TokenRejected: As `judged`; EXPIRED: the token ran out meanwhile.
    """
    if verdict.lease.expires_at <= now:
        raise TokenRejected(
            Refusal.EXPIRED,
            "the token ran out while it was verified, wanted one that lasts: sign in again",
        )
    return judged(verdict, issuer, login)


def _check_untyped(verified: str) -> None:
    if not is_name(verified):
        raise TokenRejected(
            Refusal.USERMISMATCH,
            f"the token's user is {seen(verified)}, wanted 1 to 256 printable ASCII bytes: mend "
            "user_claim",
        )
