"""Why each role is given: short texts, for operators and auditors to read."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from sessiond.core.printable import escaped

Evidence = Mapping[str, tuple[str, ...]]  # role -> why it is given

NOTHING: Evidence = MappingProxyType({})
DEFAULT = "default_roles"  # no sign that anybody gave the user a role
MAX_WHYS = 4  # of a role; further ones are left out
MAX_WHY = 256  # characters of one
MAX_SAID = 16_384  # characters of all that is said of one user's roles

_CUT = "..."


def short(text: str) -> str:
    """Return a reason in which others had a say, fit to be kept and shown."""
    plain = escaped(text[:MAX_WHY])
    return plain if len(plain) <= MAX_WHY and len(text) <= MAX_WHY else plain[: MAX_WHY - 3] + _CUT


def merged(one: Evidence, other: Evidence) -> Evidence:
    """Return the roles of both, each with why either gives it."""
    both = dict(one)
    for role, whys in other.items():
        known = both.get(role, ())
        new = tuple(why for why in whys if why not in known)
        both[role] = (known + new)[:MAX_WHYS]
    return both


def given_by(why: str, roles: Iterable[str]) -> Evidence:
    """Return roles that all are given for one reason."""
    return dict.fromkeys(roles, (why,))


def bounded(evidence: Evidence) -> Evidence:
    """Return it with no more said than can be kept for each session; no role is left out.

    Its reasons are `short`, and MAX_WHYS of a role at most. Whether somebody gave a role or it is
    everybody's shows always: the latter lets in nobody who needs one.
    """
    if len(evidence) * MAX_WHYS * MAX_WHY <= MAX_SAID:  # as nearly always
        return evidence
    left = MAX_SAID - len(_CUT) * len(evidence)
    kept = dict[str, tuple[str, ...]]()
    for role, whys in evidence.items():
        left -= sum(map(len, whys))
        kept[role] = whys if left >= 0 or whys == (DEFAULT,) else (_CUT,)
    return evidence if left >= 0 else kept
