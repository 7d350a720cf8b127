"""What the gate makes of a verdict: a login that it lets through, or none."""

from datetime import datetime
from typing import NamedTuple

from sessiond.core.errors import Refusal, TokenRejected
from sessiond.core.password import Presented
from sessiond.core.principal import same_name
from sessiond.core.printable import any_of, seen
from sessiond.core.verdict import Verdict
from sessiond.gate.gate_issuer import GateIssuer


class VerifiedLogin(NamedTuple):
    """An accepted login: what was verified, and the tokens it came with."""

    verdict: Verdict
    presented: Presented
    client: str


def judged(verdict: Verdict, issuer: GateIssuer, presented: Presented, user: str) -> VerifiedLogin:
    """Return what a login comes to: the token must be the typed user's, who may come from here.

    Raises:
        TokenRejected: USERMISMATCH or WRONGISSUER.
    """
    verified = verdict.principal.name
    if not same_name(user, verified):
        raise TokenRejected(
            Refusal.USERMISMATCH,
            f"the typed name is {seen(user)}, wanted {seen(verified)}, whose token it is: type "
            "that one, or mend user_claim",
        )
    if not issuer.route.admits(verified):
        raise TokenRejected(
            Refusal.WRONGISSUER,
            f"the user is {seen(verified)}, wanted {any_of(issuer.route.users)}, for whom "
            f"issuer {issuer.route.name!r} answers: sign in at another, or mend users",
        )
    return VerifiedLogin(verdict, presented, issuer.client)


def judged_late(
    verdict: Verdict, issuer: GateIssuer, presented: Presented, user: str, *, now: datetime
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
    return judged(verdict, issuer, presented, user)
