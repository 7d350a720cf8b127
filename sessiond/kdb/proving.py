"""Proves by a refresh that tokens were issued to our client, where nothing else shows it."""

from collections.abc import Callable

from sessiond.core.changes import KeepGrant
from sessiond.core.errors import IssuerUnavailable, Refusal, TokenRejected
from sessiond.core.grant import GrantId
from sessiond.core.queries import CheckAdmission, FindGrant
from sessiond.core.refusal_words import why
from sessiond.core.session import ProcessKey
from sessiond.core.verdict import PresentedTokens
from sessiond.kdb.login_services import LoginServices


async def prove(
    services: LoginServices, process: ProcessKey, presented: Callable[[], PresentedTokens]
) -> None:
    """Refresh at once. The table lets nobody in at such an issuer on a grant that is not proven.

    Raises:
        TokenRejected: The issuer refreshes them for another client, or the table refuses them.
        IssuerUnavailable: There is no proof yet.
        StoreError: It could not be written.
    """
    table = services.table
    grant = await table.ask(KeepGrant(grant=GrantId(services.new_id()), presented=presented()))
    if isinstance(grant, Refusal):
        raise TokenRejected(grant, why(grant))
    if grant.proven:
        return
    await services.refresher.prove(grant, process=process)
    tried = await table.ask(FindGrant(grant=grant.id))
    if tried is not None and tried.proven:
        return
    if (
        await table.ask(CheckAdmission(presented=presented(), is_proof_due=False))
        is Refusal.INACTIVE
    ):
        raise TokenRejected(
            Refusal.WRONGAUDIENCE,
            "the issuer does not refresh it for our client, wanted a refresh token of that: "
            "have the program sign in as refresh_client_id",
        )
    raise IssuerUnavailable(
        f"issuer {grant.issuer!r} has not refreshed the token yet, wanted that as proof whose it "
        "is: try again in a moment, see refresh put off in the log"
    )
