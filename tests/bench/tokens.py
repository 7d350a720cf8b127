"""Tokens of the real issuer, each of a user of its own."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.issuer.running import RunningIssuer

AT_ONCE = 8  # requests to the issuer


@dataclass(frozen=True, slots=True)
class Granted:
    """What the issuer gave one user."""

    user: str
    access: str
    refresh: str


def grant_tokens(
    issuer: RunningIssuer, count: int, *, prefix: str, client: str = "qstudio"
) -> list[Granted]:
    """Make users and sign each in: `client` as in RunningIssuer.tokens."""

    def granted(number: int) -> Granted:
        user = f"{prefix}{number:05}@contoso.test"
        issuer.control.change_user(user)
        answer = issuer.tokens(user, client)
        return Granted(user, answer["access_token"], answer["refresh_token"])

    with ThreadPoolExecutor(AT_ONCE) as threads:
        return list(threads.map(granted, range(count)))
