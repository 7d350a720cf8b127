"""One call from beginning to end: what is kept, else refreshed, else the person is asked."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

from sessiond_login.errors import CannotKeep, RefreshRefused
from sessiond_login.issuer import Granted, Issuer, Person
from sessiond_login.kept import Keep, Kept
from sessiond_login.profile import Profile
from sessiond_login.spending import (
    LEAST,
    Step,
    ended,
    given,
    in_flight,
    is_good,
    next_step,
    refreshed,
    signed_in,
)
from sessiond_login.surroundings import Way

_WANTS_OFFLINE_ACCESS = ": most issuers want the scope offline_access for one"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileTokens:
    """Gets one profile's tokens. Two at once, in whichever processes, do one sign-in.

    The second waits in `Keep.alone` and then finds what the first has kept.
    """

    name: str
    profile: Profile
    made_for: str  # what is kept for another issuer, client or scopes is of no use
    keep: Keep
    issuer: Callable[[], Issuer]  # made when it is needed: to load it takes half a second
    person: Person
    way: Callable[[], Way]  # how the person is asked; raises NotSignedIn where he cannot be
    now: Callable[[], float]  # Unix seconds

    def sign_in(self, *, again: bool = False) -> Kept:
        """Return the tokens that are good now, signing in where there are none.

        Args:
            again: Ask for a new authorization, whatever is kept.

        Raises:
            LoginError: As `Issuer` and `Keep` say.
        """
        with self._alone():
            kept = self._usable()
            current = self._ask(silently=False) if again else self._current(kept)
            if current is not kept:
                self._save(current)
            return current

    def give(self) -> Kept:
        """Return the tokens for a client, who owns what it is given: that is kept first.

        Where it cannot be kept it is given all the same, and the person is told.

        Raises:
            LoginError: As `Issuer` says.
        """
        with self._alone():
            kept = self._usable()
            current = given(self._current(kept), self.profile)
            if current is not kept:
                try:
                    self._save(current)
                except CannotKeep as error:
                    self.person.tell(f"{error}. The next call signs in again")
            return current

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with ExitStack() as held:
            try:
                held.enter_context(self.keep.alone(self.name))
            except CannotKeep as error:  # a home that is read-only; nothing is kept there either
                self.person.tell(f"{error}. A second sign-in at the same time is not noticed")
            yield

    def _usable(self) -> Kept | None:
        kept = self.keep.load(self.name)
        return kept if kept is not None and kept.made_for == self.made_for else None

    def _current(self, kept: Kept | None) -> Kept:
        step = next_step(kept, self.profile, self.now())
        if kept is None or step is Step.ASK:
            return self._ask(silently=False)
        if step is Step.GIVE:
            return kept
        after = self._refresh(kept) if step is Step.REFRESH else None
        return self._ask(silently=True) if after is None else after

    def _refresh(self, kept: Kept) -> Kept | None:
        """Return the next tokens; None where the person is to be asked instead.

        That the token is under way is on disk before it is sent: what came of it could else not be
        kept either, and the token would be sent a second time.
        """
        assert kept.refresh is not None  # noqa: S101 -- may_spend has looked
        issuer = self.issuer()
        try:
            self.keep.save(self.name, in_flight(kept))
        except CannotKeep:
            return None
        try:
            granted = issuer.refresh(kept.refresh)
        except RefreshRefused:
            after = None
        else:
            after = refreshed(kept, granted, self.now())
        if after is None:
            with suppress(CannotKeep):
                self._save(ended(kept))
            return None
        return self._measured(after)

    def _ask(self, *, silently: bool) -> Kept:
        granted = self._granted(silently=silently)
        kept = signed_in(granted, self.made_for, self.now(), send=self.profile.send)
        if kept.refresh is None and self.profile.send == "pair":
            wants = "" if "offline_access" in self.profile.scopes else _WANTS_OFFLINE_ACCESS
            self.person.tell(
                "no refresh token was given, so a session at q ends with its access token"
                f'{wants}; send = "access" says that this is as you want it'
            )
        return self._measured(kept)

    def _granted(self, *, silently: bool) -> Granted:
        way = self.way()
        issuer = self.issuer()
        match way:
            case Way.BROWSER:
                return issuer.by_browser(self.person, silently_first=silently)
            case Way.DEVICE_CODE:
                return issuer.by_device_code(self.person)
            case Way.PASSWORD:
                return issuer.by_password(self.person)

    def _measured(self, kept: Kept) -> Kept:
        """Return what was just got, and say where it does not last."""
        now = self.now()
        if not is_good(kept, now):
            self.person.tell(
                f"the issuer's access tokens last {kept.expires - now:.0f} s, wanted {LEAST:.0f} s "
                "or more: each call signs in or refreshes; have the issuer make them last longer"
            )
        return kept

    def _save(self, kept: Kept) -> None:
        """Keep this, or at least nothing that is older.

        Raises:
            CannotKeep: There is no place for it.
        """
        try:
            self.keep.save(self.name, kept)
        except CannotKeep:
            with suppress(CannotKeep):
                self.keep.forget(self.name)
            raise
