"""An issuer that counts what is spent, a place that can fail, a person who does as told."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sessiond_login.errors import CannotKeep, IssuerUnavailable, NotSignedIn, RefreshRefused
from sessiond_login.issuer import Granted, Person
from sessiond_login.kept import Kept
from sessiond_login.profile import Profile
from sessiond_login.secret import Secret
from sessiond_login.signing_in import ProfileTokens
from sessiond_login.surroundings import Way

MADE_FOR = "the-digest"


class Crash(BaseException):
    """The process ends here."""


@dataclass
class FakeIssuer:
    """An issuer whose refresh tokens are good once, or always where it is tolerant."""

    rotates: bool = True
    lasts: float | None = 600.0
    gives_refresh: bool = True
    user: str = "alice"
    trouble: str = ""  # of the next refresh: lost, crash before, crash after, refused, else
    can_revoke: bool = True
    down: bool = False
    denied: bool = False
    asked: list[str] = field(default_factory=list)  # how the person was, in order
    sent: list[str] = field(default_factory=list)  # refresh tokens, as they came
    answered: set[str] = field(default_factory=set)  # those that were spent, and we were told so
    revoked: list[str] = field(default_factory=list)
    good: set[str] = field(default_factory=set)
    made: int = 0

    def _granted(self, user: str) -> Granted:
        self.made += 1
        refresh = f"refresh-{self.made}"
        if self.gives_refresh:
            self.good.add(refresh)
        return Granted(
            user=user,
            access=Secret(f"access-{self.made}"),
            refresh=Secret(refresh) if self.gives_refresh else None,
            lasts=self.lasts,
        )

    def _ask(self, how: str) -> Granted:
        self.asked.append(how)
        if self.down:
            raise IssuerUnavailable("the issuer does not answer")
        if self.denied:
            raise NotSignedIn("the person said no")
        return self._granted(self.user)

    def by_browser(self, person: Person, *, silently_first: bool) -> Granted:
        return self._ask("silently" if silently_first else "browser")

    def by_device_code(self, person: Person) -> Granted:
        return self._ask("device")

    def by_password(self, person: Person) -> Granted:
        return self._ask("password")

    def refresh(self, refresh: Secret) -> Granted:
        token, trouble, self.trouble = refresh.reveal(), self.trouble, ""
        if trouble == "crash before":
            raise Crash
        self.sent.append(token)
        if trouble == "lost before" or self.down:
            raise IssuerUnavailable("the issuer does not answer")
        if token not in self.good or trouble == "refused":
            self.good.clear()  # RFC 9700, 4.14: reuse ends the grant
            self.answered.add(token)
            raise RefreshRefused
        rotates = self.rotates and self.gives_refresh
        if rotates:
            self.good.discard(token)
        granted = self._granted("" if trouble == "nameless" else self.user)
        if trouble == "crash after":
            raise Crash
        if trouble == "lost after":
            raise IssuerUnavailable("the issuer does not answer")
        if rotates:
            self.answered.add(token)
        return granted

    def revoke(self, refresh: Secret) -> bool:
        if self.down:
            raise IssuerUnavailable("the issuer does not answer")
        self.revoked.append(refresh.reveal())
        return self.can_revoke


@dataclass
class FakeKeep:
    """One place for all profiles; `full` is a disk that takes nothing, and gives nothing up."""

    records: dict[str, Kept] = field(default_factory=dict)
    full: bool = False
    lockless: bool = False
    fails_at: int = 0  # the save that fails from now, 1 for the next
    saves: int = 0
    inside: int = 0

    def load(self, profile: str) -> Kept | None:
        assert self.inside or self.lockless
        return self.records.get(profile)

    def save(self, profile: str, kept: Kept) -> None:
        assert self.inside or self.lockless
        self.saves += 1
        self.fails_at -= 1
        if self.full or self.fails_at == 0:
            raise CannotKeep("/home/alice: no space left on device")
        self.records[profile] = kept

    def forget(self, profile: str) -> None:
        if self.full:
            raise CannotKeep("/home/alice: read-only file system")
        self.records.pop(profile, None)

    @contextmanager
    def alone(self, profile: str) -> Iterator[None]:
        if self.lockless:
            raise CannotKeep("/home/alice: read-only file system")
        assert self.inside == 0
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1


@dataclass
class FakePerson:
    told: list[str] = field(default_factory=list)

    def open(self, url: str) -> bool:
        return True

    def tell(self, words: str) -> None:
        self.told.append(words)

    def ask_password(self, user: str) -> tuple[str, Secret]:
        return user or "alice", Secret("a password")


@dataclass
class FakeClock:
    at: float = 1_000_000.0

    def __call__(self) -> float:
        return self.at


def profile(**members: object) -> Profile:
    usual: dict[str, object] = {"issuer": "https://login.test", "client_id": "qstudio"}
    return Profile(**{**usual, **members})  # type: ignore[arg-type]


@dataclass
class Stage:
    """A program that can be started again and again in one world."""

    profile: Profile
    issuer: FakeIssuer = field(default_factory=FakeIssuer)
    keep: FakeKeep = field(default_factory=FakeKeep)
    person: FakePerson = field(default_factory=FakePerson)
    clock: FakeClock = field(default_factory=FakeClock)
    way: Way = Way.BROWSER
    built: int = 0

    def tokens(self) -> ProfileTokens:
        return ProfileTokens(
            name="work",
            profile=self.profile,
            made_for=MADE_FOR,
            keep=self.keep,
            issuer=self._issuer,
            person=self.person,
            way=lambda: self.way,
            now=self.clock,
        )

    def _issuer(self) -> FakeIssuer:
        self.built += 1
        return self.issuer

    @property
    def kept(self) -> Kept:
        return self.keep.records["work"]


def kept(**members: object) -> Kept:
    usual: dict[str, object] = {
        "made_for": MADE_FOR,
        "user": "alice",
        "access": Secret("access-0"),
        "refresh": Secret("refresh-0"),
        "since": 0.0,
        "expires": 1_000_000.0,
        "send": "access",
        "handed_over": False,
    }
    return Kept(**{**usual, **members})  # type: ignore[arg-type]
