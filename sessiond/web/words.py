"""What a person reads who is not let in: what happened, and what to do. Nothing that came is in it.

A word that an administrator can look up is shown where only he can help.
"""

from sessiond.core.errors import Refusal
from sessiond.web.base import Base
from sessiond.web.pages import Link, Page, front_page

AGAIN = "Sign in again"
OTHER_ACCOUNT = "Sign out there, to take another account"

_SET_UP = "The sign-in is not set up as the issuer wants it. Tell your administrator this word: {}."
_UNKNOWN = (
    "The issuer answered with an error that is not known here. Try again; if it stays so, tell "
    "your administrator, who finds its word in the log."
)
_BUSY_ISSUER = "The issuer has trouble of its own. Try again in a moment."
_BY_ISSUER = {  # RFC 6749, 4.1.2.1 and 5.2; OpenID Connect Core, 3.1.2.6; others are not shown
    "access_denied": "The issuer did not let you in, or you cancelled. Try again, or ask your "
    "administrator whether you may use this application.",
    "account_selection_required": "The issuer wants you to choose an account. Sign in again.",
    "consent_required": "The issuer wants your consent. Sign in again and give it.",
    "interaction_required": "The issuer wants to see you. Sign in again.",
    "login_required": "The issuer wants you to sign in. Sign in again.",
    "unmet_authentication_requirements": "You are asked to sign in in a stronger way than you "
    "did. Sign in again, or ask your administrator.",
    "invalid_grant": "This sign-in was used already, or took too long. Sign in again.",
    "server_error": _BUSY_ISSUER,
    "temporarily_unavailable": _BUSY_ISSUER,
    **{
        error: _SET_UP.format(error)
        for error in (
            "invalid_client",
            "invalid_request",
            "invalid_request_object",
            "invalid_request_uri",
            "invalid_scope",
            "invalid_target",
            "registration_not_supported",
            "request_not_supported",
            "request_uri_not_supported",
            "unauthorized_client",
            "unsupported_grant_type",
            "unsupported_response_type",
        )
    },
}
_HERE = {
    Refusal.NOTALLOWED: "You are signed in, and may not log in here. Ask your administrator.",
    Refusal.NOROLES: "You are signed in, and have no role here. Ask your administrator for one.",
    Refusal.STEPUP: "You are asked here to have signed in more recently, or in a stronger way. "
    "Sign in again; if that leads here at once, tell your administrator: stepup.",
    Refusal.REVOKED: "Your access was taken back, or this sign-in was used before. Sign in again.",
    Refusal.USERMISMATCH: "This sign-in is of another account, or your name belonged to another "
    "one here. Sign in again, or ask your administrator.",
    Refusal.UNAVAILABLE: "The issuer does not answer at the moment. Try again in a moment.",
    Refusal.DEADLINE: "The issuer took too long. Try again in a moment.",
    Refusal.THROTTLED: "Too many sign in at this moment. Try again in a moment.",
}

_OF_THIS_ACCOUNT = frozenset(
    {Refusal.NOTALLOWED, Refusal.NOROLES, Refusal.REVOKED, Refusal.USERMISMATCH}
)


def refused(base: Base, reason: Refusal, *, to: str = "/", leave: str = "") -> Page:
    """Return the page for tokens that are not taken here.

    Args:
        base: Where.
        reason: Why not.
        to: The path that was wanted.
        leave: Where the issuer signs people out, which remembers the account that it has let in:
            to sign in again is of no use to whoever has taken the wrong one. Empty: not known.
    """
    other = [Link(leave, OTHER_ACCOUNT)] if leave and reason in _OF_THIS_ACCOUNT else []
    fallback = f"What the issuer says of you is not taken here. Tell your administrator: {reason}."
    return Page(
        title="You were not let in",
        texts=[_HERE.get(reason, fallback)],
        links=[Link(base.url + to, AGAIN), *other],
        status=403,
        reason=reason.value,
    )


def refused_by_issuer(base: Base, error: str, *, to: str = "/") -> Page:
    """Return the page for an error that the issuer answered with."""
    return Page(
        title="You were not signed in",
        texts=[_BY_ISSUER.get(error, _UNKNOWN)],
        links=[Link(base.url + to, AGAIN)],
        status=403,
        reason=Refusal.INACTIVE.value,
    )


def unavailable(base: Base, *, to: str = "/") -> Page:
    """Return the page for an issuer, or a disk, that does not do what it should."""
    return Page(
        title="Signing in does not work now",
        texts=["What is needed for it does not answer. Try again in a moment."],
        links=[Link(base.url + to, "Try again")],
        status=503,
        reason=Refusal.UNAVAILABLE.value,
    )


def misled(base: Base) -> Page:
    """Return the page for an answer that is not that of the issuer who was asked (RFC 9207)."""
    return Page(
        title="You were not signed in",
        texts=[
            "The answer is not that of the issuer that you were sent to. Sign in again, from the "
            "page that you want; if it stays so, tell your administrator."
        ],
        links=[front_page(base.url, AGAIN)],
        status=403,
        reason=Refusal.WRONGISSUER.value,
    )


def not_begun(base: Base) -> Page:
    """Return the page for an answer to a sign-in that this browser has not begun, or long ago."""
    return Page(
        title="This sign-in is over",
        texts=[
            "It was not begun in this browser, or more than ten minutes ago, or it is used "
            "already. Open the page that you want and sign in from there. If that leads here "
            "again, your browser keeps no cookies of this site: allow them."
        ],
        links=[front_page(base.url)],
        status=403,
        reason=Refusal.EXPIRED.value,
    )


def waiting() -> Page:
    """Return the page while the issuer is asked; it asks again by itself."""
    return Page(
        title="Signing you in",
        texts=["The issuer is being asked. This page goes on by itself."],
        status=202,
        refresh=1,
    )


def busy() -> Page:
    """Return the page where too many sign in at once; it asks again by itself."""
    return Page(
        title="Many sign in at this moment",
        texts=["Yours has its turn in a moment. This page goes on by itself."],
        status=503,
        reason=Refusal.THROTTLED.value,
        refresh=2,
    )


def signed_out(base: Base) -> Page:
    """Return the page after a sign-out."""
    return Page(
        title="You are signed out",
        texts=["Close the browser if others use it too."],
        links=[front_page(base.url, "Sign in")],
        status=200,
    )


def wrong_sign_out(base: Base) -> Page:
    """Return the page for an address that ends somebody else's session, or an earlier one."""
    return Page(
        title="You are still signed in",
        texts=["This address signs another session out. Use the button of the page you came from."],
        links=[front_page(base.url)],
        status=403,
        reason=Refusal.NOTALLOWED.value,
    )


def unclear() -> Page:
    """Return the page for a request that says a thing twice."""
    return Page(
        title="This cannot be answered",
        texts=[
            "The address or a cookie says one thing twice. Remove this site's cookies in your "
            "browser, then open the page anew."
        ],
        status=400,
        reason=Refusal.MALFORMED.value,
    )


def no_such_host(bases: int) -> Page:
    """Return the page for a request to a host that is none of ours; which are, it does not say."""
    where = "the one address" if bases == 1 else f"one of the {bases} addresses"
    return Page(
        title="Nobody signs in under this address",
        texts=[
            f"Open {where} that this installation is configured for: ask your administrator, who "
            "finds them as web.bases."
        ],
        status=400,
        reason=Refusal.NOTALLOWED.value,
    )


def not_there(base: Base) -> Page:
    """Return the page for an address of ours that means nothing."""
    return Page(
        title="There is no such page",
        texts=["The address is not complete, or not of this version."],
        links=[front_page(base.url)],
        status=404,
        reason=Refusal.MALFORMED.value,
    )


def from_elsewhere(base: Base, path: str) -> Page:
    """Return what stands before a query that another site's page has sent the browser to."""
    return Page(
        title="Another site has sent you here",
        texts=[
            "It wants to open the address below in your name, and what follows the question mark "
            "may be carried out. Go on only if you meant to."
        ],
        shown=path,
        links=[Link(base.url + path, "Open it"), front_page(base.url, "Go to the front page")],
        status=403,
        reason=Refusal.NOTALLOWED.value,
    )
