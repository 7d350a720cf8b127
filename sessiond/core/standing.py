"""What a process with `estate` is told of one person: who it is, and what it may do there."""

from collections.abc import Mapping

from msgspec import Struct

from sessiond.core.access import AccessRules, Denied, access_at
from sessiond.core.principal import folded
from sessiond.core.session import ProcessAbout, Session

SPELLINGS = 8  # of one name, beside the verified one


class Standing(Struct, frozen=True, gc=False):
    """Somebody with a session, as a process that follows is told."""

    name: str  # as verified
    roles: tuple[str, ...]  # under the ceiling of the process that is told
    attributes: Mapping[str, str]


def standing_at(rules: AccessRules, about: ProcessAbout, session: Session) -> Standing | None:
    """Return what a process is told of a session; None: its ceiling keeps the user out.

    How long ago he signed in, and how, was asked where he logged in, and is not asked again here.
    """
    access = access_at(rules, about, session.principal, session.assigned)
    if isinstance(access, Denied):
        return None
    return Standing(session.principal.name, access.roles, session.attributes)


class Spellings:
    """Under which name each login is told: as typed, for so many spellings of each name.

    A name of n letters can be typed in 2^n ways, and q never frees a symbol. So a name has a few
    spellings for as long as this daemon runs. What is typed in yet another way is told as verified:
    that costs nobody but its user, whom the processes that follow do not know by that spelling.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, ...]] = {}  # by the folded name, but the verified ones

    def told_as(self, session: Session) -> str:
        """Return the name that a session is told under: always the same one.

        That is the verified one where a ticket let its user in, who had typed nothing.
        """
        typed, verified = session.typed, session.principal.name
        if typed == verified or session.hops:
            return verified
        known = self._known.get(folded(verified), ())
        if typed in known:
            return typed
        if len(known) >= SPELLINGS:
            return verified
        self._known[folded(verified)] = (*known, typed)
        return typed
