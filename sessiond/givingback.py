"""Has an issuer end refresh tokens that nobody here will send again (RFC 7009), each once."""

import structlog

from sessiond.containment import Containment
from sessiond.core.errors import IssuerUnavailable
from sessiond.core.grant import Grant
from sessiond.core.secret import Secret
from sessiond.line import Line

log = structlog.get_logger()


async def give_back_in_turn(grant: Grant, line: Line, containment: Containment) -> None:
    """Give back what a dropped grant has, within the budget that its refresh would have had."""
    if grant.refresh_token is None:
        return
    place = line.unproved.place(None, grant.subject) if grant.is_unproved else line.limiter
    with containment.around("token given back", grant.issuer):
        async with place:
            await give_back(grant.issuer, grant.refresh_token, line)


async def give_back(issuer: str, token: Secret, line: Line) -> None:
    """Give a refresh token back at once; an issuer that cannot end it stops nothing."""
    try:
        revoked = await line.source.revoke(token)
    except IssuerUnavailable as unavailable:
        log.warning("not revoked at the issuer", issuer=issuer, error=str(unavailable))
    else:
        log.info("revoked at the issuer" if revoked else "no revocation", issuer=issuer)
