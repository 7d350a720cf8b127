"""One issuer of a chaos run, with its users; it can be killed and comes back on its port."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode
from uuid import NAMESPACE_URL, uuid5

import httpx

from tests.chaos.journal import Journal
from tests.chaos.terms import BASE, LEASE, ROTATED, SOURCE_CLIENT
from tests.issuer.browser import walk
from tests.issuer.running import RunningIssuer, usual_password

USERS = 4


@dataclass(frozen=True)
class Pair:
    """A token answer, by the number that the journal knows it by."""

    number: int
    user: str
    access: str
    refresh: str

    def password(self, *, with_refresh: bool) -> str:
        return f"{self.access};{self.refresh}" if with_refresh else self.access


@dataclass
class Realm:
    """The issuer called `name`, which is also its habit of rotating refresh tokens."""

    name: str
    journal: Journal
    issuer: RunningIssuer | None = None
    port: int = 0
    generation: int = 0
    disabled: set[str] = field(default_factory=set)
    pairs: list[Pair] = field(default_factory=list)  # those that are worth bringing again
    secrets: list[str] = field(default_factory=list)  # random parts of all tokens

    @property
    def users(self) -> list[str]:
        return [f"{self.name}{number}@contoso.test" for number in range(USERS)]

    @property
    def enabled(self) -> list[str]:
        return [user for user in self.users if user not in self.disabled]

    def start(self) -> None:
        """Start it: it knows its users, nothing that it issued before, and has new keys."""
        for user in self.disabled:
            self._note("user-enabled", user=user)
        self.disabled.clear()
        self.issuer = RunningIssuer(rotation=self.name, port=self.port)
        self.port = int(self.issuer.origin.rpartition(":")[2])
        self.issuer.control.set_access_token_lifetime(LEASE)
        self.issuer.control.register_web_bases(BASE)
        for _ in range(self.generation):  # else a key of another generation has the same kid
            self.issuer.control.rotate_keys(drop_old=True)
        self.generation += 1
        for user in self.users:
            self.issuer.control.change_user(user, oid=str(uuid5(NAMESPACE_URL, user)))
        self._note("issuer-started")

    def kill(self) -> None:
        """End it as kill -9 does."""
        assert self.issuer is not None
        self.note_refreshes()
        self._note("issuer-killing")
        self.issuer.kill()
        self.issuer = None
        self.pairs.clear()
        self._note("issuer-killed")

    def fetch(self, user: str) -> Pair:
        """Have a user sign in at the issuer."""
        assert self.issuer is not None
        number = self.note_token(user)
        answer = self.issuer.tokens(user)
        self.secrets += [answer["access_token"].rpartition(".")[2], answer["refresh_token"]]
        self.pairs = [each for each in self.pairs if each.user != user]
        self.pairs.append(Pair(number, user, answer["access_token"], answer["refresh_token"]))
        return self.pairs[-1]

    def note_token(self, user: str) -> int:
        """Return what the journal calls the tokens that a user gets now."""
        number = self.journal.counts["token"]
        self._note("token", user=user, token=number)
        return number

    def note_refreshes(self) -> None:
        """Write down which refresh tokens of the source came, by the issuer's own word."""
        assert self.issuer is not None
        for came in self.issuer.control.take_refreshes():
            if came["client"] == SOURCE_CLIENT:
                facts = {name: came[name] for name in ("digest", "at", "error", "took")}
                self._note("refresh-came", source=ROTATED, **facts)

    def walk(self, authorization_url: str, user: str) -> str:
        """Have a user sign in by a browser; return the target that it comes back with.

        Raises:
            LoginError: The issuer lets him not in.
        """
        with httpx.Client(timeout=10, trust_env=False) as http:
            form = {"login": user, "password": usual_password(user)}
            query = walk(http, http.get(authorization_url), form)
        self.secrets += [query["code"]] if "code" in query else []
        return f"/.sessiond/callback?{urlencode(query)}"

    def revoke(self, user: str) -> None:
        """End all that a user was granted."""
        assert self.issuer is not None
        self._note("user-revoking", user=user)
        self.issuer.control.revoke_user(user)
        self._note("user-revoked", user=user)

    def disable(self, user: str) -> None:
        assert self.issuer is not None
        self._note("user-disabling", user=user)
        self.issuer.control.disable(user)
        self.disabled.add(user)
        self._note("user-disabled", user=user)

    def enable(self, user: str) -> None:
        assert self.issuer is not None
        self._note("user-enabled", user=user)
        self.issuer.control.change_user(user, disabled=False)
        self.disabled.discard(user)

    def give_roles(self, user: str, roles: list[str]) -> None:
        assert self.issuer is not None
        self.issuer.control.change_user(user, roles=roles)
        self._note("roles", user=user)

    def fault(self, path: str, kind: str, **members: Any) -> None:
        assert self.issuer is not None
        self._note("fault", path=path, fault=kind, refuses="body" in members)
        self.issuer.control.fault(path, kind, **members)

    def clear_faults(self) -> None:
        assert self.issuer is not None
        self.issuer.control.clear_faults()
        self._note("faults-cleared")

    def _note(self, kind: str, **facts: Any) -> None:
        self.journal.note(kind, issuer=self.name, **facts)
