"""Proves by a refresh that tokens were issued to our client, where nothing else shows it."""

from collections.abc import Callable

from sessiond.core.access import Denied
from sessiond.core.changes import KeepGrant
from sessiond.core.errors import IssuerUnavailable, Refusal, TokenRejected
from sessiond.core.grant import GrantId
from sessiond.core.queries import CheckAdmission, FindGrant
from sessiond.core.verdict import PresentedTokens
from sessiond.kdb.login_services import LoginServices, Owner


async def prove(
    services: LoginServices, owner: Owner, presented: Callable[[], PresentedTokens]
) -> None:
    """Refresh at once. The table lets nobody in at such an issuer on a grant that is not proven.

    Raises:
        TokenRejected: The issuer refreshes them for another client, or the table refuses them.
        IssuerUnavailable: There is no proof yet.
        StoreError: It could not be written.
    """
    table = services.table
    kept = KeepGrant(grant=GrantId(services.new_id()), about=owner.about, presented=presented())
    grant = await table.ask(kept)
    if isinstance(grant, Denied):
        raise TokenRejected(grant.reason, grant.detail)
    if grant.proven:
        return
    await services.refresher.prove(grant, process=owner.key)
    tried = await table.ask(FindGrant(grant=grant.id))
    if tried is not None and tried.proven:
        return
    denied = await table.ask(CheckAdmission(presented=presented(), is_proof_due=False))
    if denied is not None and denied.reason is Refusal.INACTIVE:
        raise TokenRejected(
            Refusal.WRONGAUDIENCE,
            "the issuer does not refresh it for our client, wanted a refresh token of that: "
            "have the program sign in as refresh_client_id",
        )
    raise IssuerUnavailable(
        f"issuer {grant.issuer!r} has not refreshed the token yet, wanted that as proof whose it "
        "is: try again in a moment, see refresh put off in the log"
    )
