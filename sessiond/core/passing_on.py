"""What a ticket passes on: roles of the session that it was made for, and none besides."""

from collections.abc import Callable
from dataclasses import replace

from msgspec import structs

from sessiond.core.access import Access, AccessRules, Because, Denied, access_at
from sessiond.core.errors import Refusal
from sessiond.core.printable import seen
from sessiond.core.session import ProcessAbout, Session, SessionId

Find = Callable[[SessionId], Session | None]


def access_of(rules: AccessRules, session: Session, find: Find) -> Access | Denied:
    """Return what a session's user may do there by the rules as they are now.

    Args:
        rules: The operator's.
        session: Any; where a ticket brought it, its parent's roles as they are now bound it.
        find: Returns a live session.
    """
    if not session.may_as_parent or session.parent is None:
        return access_at(rules, session.about, session.principal, session.assigned)
    parent = find(session.parent)
    if parent is None:
        return Denied(
            reason=Refusal.REVOKED,
            detail="the session that its ticket was made for has ended, wanted a live one: sign in "
            "again there",
        )
    return passed_on(rules, session.about, parent)


def access_anew(rules: AccessRules, session: Session, find: Find) -> Access | Denied:
    """Return what it comes to by rules that count later: its parent is judged by them, too."""
    parent = find(session.parent) if session.may_as_parent and session.parent else None
    if parent is None:
        return access_of(rules, session, find)
    access = access_anew(rules, parent, find)
    if isinstance(access, Denied):
        return access
    return passed_on(rules, session.about, structs.replace(parent, roles=access.roles))


def passed_on(rules: AccessRules, about: ProcessAbout, parent: Session) -> Access | Denied:
    """Return what a session's user may do at another process by its ticket.

    A role that the operator gave passes on only while an [[access.grant]] still gives it.
    """
    access = access_at(rules, about, parent.principal, parent.assigned)
    if isinstance(access, Denied) or not access.because.roles.keys() - parent.roles:
        return access
    roles = tuple(role for role in access.roles if role in parent.roles)
    if not roles and parent.roles:
        return Denied(
            reason=Refusal.NOROLES,
            detail=f"the session that the ticket was made for has {seen(list(parent.roles))}, of "
            f"which {seen(about.name)} has room for none, wanted one: mend roles of its "
            "[[access.process]], or sign in there",
        )
    because = access.because
    kept = {role: whys for role, whys in because.roles.items() if role in parent.roles}
    cut = tuple(role for role in because.cut if role in parent.roles)
    return replace(access, roles=roles, because=Because(roles=kept, cut=cut))
