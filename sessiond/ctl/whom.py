"""Whether there is whom an operator has named, and who else may be meant.

A slip of the pen in a name ends nobody's access and looks as if it had.
"""

from collections.abc import Iterable
from difflib import get_close_matches

from sessiond.core.principal import folded
from sessiond.ctl.client import Client

ENOUGH = 5000  # names among which a near one is looked for; of more, those that begin alike too
NEAR = 3  # names that are offered
ALIKE = 2  # characters


def missing(client: Client, kind: str, value: str) -> str | None:
    """Say that there is nobody of this user, process or issuer, and who is near; None: there is."""
    match kind:
        case "user":
            return _missing_user(client, value)
        case "process":
            return _missing_process(client, value)
        case "issuer":
            return _missing_issuer(client, value)
        case _:
            return None


def near_names(client: Client, user: str) -> str:
    """Return who else may be meant by a user name, as words to add; empty: nobody."""
    known = client.names(most=ENOUGH)
    if len(known) >= ENOUGH:
        known += client.names(begin=user[:ALIKE], most=ENOUGH)
    by_own_part: dict[str, list[str]] = {}  # many have the domain in common, which tells nothing
    for name in sorted({each["name"] for each in known}):
        by_own_part.setdefault(name.partition("@")[0], []).append(name)
    near = get_close_matches(folded(user).partition("@")[0], by_own_part, n=NEAR)
    return _meant([name for part in near for name in by_own_part[part]][:NEAR])


def _missing_user(client: Client, user: str) -> str | None:
    if client.get("/v1/sessions", user=user, limit=1)["sessions"]:
        return None
    if folded(user) in (each["name"] for each in client.names(begin=user, most=1)):
        return None
    return f"nobody called {user} is logged in or has ever been{near_names(client, user)}"


def _missing_process(client: Client, process: str) -> str | None:
    if client.get("/v1/sessions", process=process, limit=1)["sessions"]:
        return None
    names = set[str]()
    for each in client.processes():
        names |= {each["name"], f"{each['name']}:{each['pid']}"}
    if process in names:
        return None
    return f"no process called {process} is connected or has sessions{_near(process, names)}"


def _missing_issuer(client: Client, issuer: str) -> str | None:
    names = [each["name"] for each in client.get("/v1/status")["issuers"]]
    if issuer in names:
        return None
    return f"no issuer is called {issuer}; the configuration has {', '.join(sorted(names))}"


def _near(word: str, known: Iterable[str]) -> str:
    return _meant(get_close_matches(word, sorted(set(known)), n=NEAR))


def _meant(found: list[str]) -> str:
    return f"; did you mean {' or '.join(found)}?" if found else ""
