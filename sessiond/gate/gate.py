"""Takes a token, and the typed name where there is one; gives back who it is or why not."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import anyio
from anyio.abc import TaskGroup

from sessiond.clock import Clock
from sessiond.containment import Containment
from sessiond.core.compact import Stated
from sessiond.core.errors import IssuerUnavailable, Refusal, TokenRejected
from sessiond.core.password import Presented, read_bearer, read_password
from sessiond.core.revocation import Revocation
from sessiond.core.rows import Put
from sessiond.core.seen_headers import SeenHeaders
from sessiond.core.session import ProcessKey, SessionId
from sessiond.gate.gate_issuer import GateIssuer, GateSettings
from sessiond.gate.issuer_verdicts import IssuerVerdicts, TokenKey, Turn
from sessiond.gate.presented_login import Issued, PresentedLogin
from sessiond.gate.route import IssuerRoute, check_typed, find_issuer
from sessiond.gate.timings import LoginTimings
from sessiond.gate.verified_login import VerifiedLogin, judged, judged_late
from sessiond.gate.waiting import Waiting
from sessiond.table import Committed


@dataclass(frozen=True, slots=True)
class _Asker:
    """On whose account an issuer is asked: a process's logins, or the renewal of one session."""

    owner: ProcessKey
    renews: SessionId | None

    @property
    def turn(self) -> Turn:
        """Whose turn at the issuer it takes: renewals hold up no login of the same process."""
        return self.owner, self.renews is not None


class Gate:
    """Routes a token to its issuer, and bounds how many of a process wait for one."""

    def __init__(
        self,
        settings: Callable[[], GateSettings],
        *,
        clock: Clock,
        containment: Containment | None = None,
    ) -> None:
        """Make a gate.

        Args:
            settings: Those of now.
            clock: For leases and the age of verdicts.
            containment: Where exceptions end that no verifier may raise.
        """
        self._settings = settings
        self._containment = containment or Containment()
        self._clock = clock
        self._waiting: Counter[_Asker] = Counter()
        self._headers = SeenHeaders[Stated]()
        self._tasks: TaskGroup | None = None
        self._asked: dict[str, IssuerVerdicts] = {}
        self._routes: Sequence[IssuerRoute] = ()
        self._routing = 0  # another number for other routes
        self.change_issuers()

    def change_issuers(self) -> None:
        """Go on with the issuers that are configured by now, from the next login on.

        One that is under way is judged by the issuer that it came to, as that was. Whether it still
        counts is for the table to say, by the verdict's generation.
        """
        before, issuers = self._asked, self._settings().issuers
        self._asked = {each.route.name: self._of(each, before) for each in issuers}
        for name, asked in before.items():
            if self._asked.get(name) is not asked:
                asked.retire()
        routes = [each.route for each in issuers]
        if routes != self._routes:
            self._routes, self._routing = routes, self._routing + 1

    async def run(self) -> None:
        """Own the calls to issuers, which outlive the logins that began them, until cancelled."""
        async with anyio.create_task_group() as self._tasks:
            for asked in self._asked.values():
                asked.begin(self._tasks)
            await anyio.sleep_forever()

    def take(self, batch: Committed) -> None:
        """Forget every verdict that is kept when something was taken back."""
        if any(isinstance(each, Put) and isinstance(each.row, Revocation) for each in batch.writes):
            for asked in self._asked.values():
                asked.forget()

    def read_bearer(self, token: str) -> Presented:
        """Return what an Authorization header carries; see `sessiond.core.password`."""
        return read_bearer(token, self._headers)

    async def admit(
        self,
        *,
        user: str | None,
        password: str | Presented,
        owner: ProcessKey,
        renews: SessionId | None = None,
        issued: Issued | None = None,
        timings: LoginTimings | None = None,
    ) -> VerifiedLogin:
        """Return what `decide_now` comes to, for those who can wait. May be cancelled any time."""
        decided = self.decide_now(
            user=user,
            password=password,
            owner=owner,
            renews=renews,
            issued=issued,
            timings=timings,
        )
        return await decided.answer() if isinstance(decided, Waiting) else decided

    def decide_now(
        self,
        *,
        user: str | None,
        password: str | Presented,
        owner: ProcessKey,
        renews: SessionId | None = None,
        issued: Issued | None = None,
        timings: LoginTimings | None = None,
    ) -> VerifiedLogin | Waiting:
        """Return what the password proves about the user, or who waits for the issuer's word.

        Args:
            user: The typed name; None where nobody typed one, so that it is the token's.
            password: What came with it, or what was read of that.
            owner: The process that asks.
            renews: The session that it is for; None is a login. It takes no login's place.
            issued: Who has given us the tokens, where no user brought them.
            timings: Filled in, however this ends.

        Raises:
            TokenRejected: The login is refused.
            IssuerUnavailable: No verdict now.
        """
        login = self._login(user, password, issued)
        key = TokenKey.of(login, routing=self._routing)
        asked = self._asked_about(key, login)
        issuer = asked.gate_issuer
        timings = LoginTimings() if timings is None else timings
        timings.issuer = issuer.route.name
        verdict = asked.verdict_now(key, login)
        if verdict is not None:
            return judged(verdict, issuer, login)
        asker = _Asker(owner, renews)
        give_up_place = self._place(issuer, asker)
        try:
            flight = asked.join(key, login, asker.turn)
        except IssuerUnavailable:
            give_up_place()
            raise
        return Waiting(
            flight,
            judge=lambda verdict: judged_late(verdict, issuer, login, now=self._clock.now()),
            timings=timings,
            give_up_place=give_up_place,
        )

    def _login(
        self, user: str | None, password: str | Presented, issued: Issued | None
    ) -> PresentedLogin:
        if isinstance(password, str):
            password = read_password(password, self._headers)
        if user is not None:
            check_typed(user)
        return PresentedLogin(user, password, issued)

    def _asked_about(self, key: TokenKey, login: PresentedLogin) -> IssuerVerdicts:
        """Return whose the token is: by the same routes, whose it was before."""
        if login.issued is not None:
            return self._giver(login.issued)
        for asked in self._asked.values():
            if asked.has_judged(key):
                return asked
        return self._asked[find_issuer(self._routes, login.presented, user=login.user)]

    def _giver(self, issued: Issued) -> IssuerVerdicts:
        asked = self._asked.get(issued.issuer)
        if asked is None:
            raise TokenRejected(
                Refusal.WRONGISSUER,
                f"issuer {issued.issuer!r} is configured no more, wanted the one that has given "
                "the token: sign in at another",
            )
        return asked

    def _of(self, gate_issuer: GateIssuer, before: Mapping[str, IssuerVerdicts]) -> IssuerVerdicts:
        """Return the one that is at work where it is the same issuer, else a new one."""
        asked = before.get(gate_issuer.route.name)
        if asked is not None and asked.gate_issuer.generation == gate_issuer.generation:
            asked.use(gate_issuer)
            return asked
        asked = IssuerVerdicts(gate_issuer, self._clock, self._containment)
        if self._tasks is not None:
            asked.begin(self._tasks)
        return asked

    def _place(self, gate_issuer: GateIssuer, asker: _Asker) -> Callable[[], None]:
        """Bound how many logins of one process wait for issuers that are asked each time.

        Renewals are counted apart, one a session. Returns what gives the place up.
        """
        if not gate_issuer.verifier.is_online:
            return _nothing
        most = self._settings().waiting if asker.renews is None else 1
        if self._waiting[asker] >= most:
            what = "logins of this process" if asker.renews is None else "renewals of this session"
            raise TokenRejected(
                Refusal.THROTTLED,
                f"{most} {what} wait for an issuer, wanted fewer: try again in a moment, see "
                "issuer_ms in the log, or raise login.waiting",
            )
        self._waiting[asker] += 1
        return partial(self._give_up_place, asker)

    def _give_up_place(self, asker: _Asker) -> None:
        self._waiting[asker] -= 1
        if not self._waiting[asker]:
            del self._waiting[asker]


def _nothing() -> None:
    """Stand for giving up a place where none was taken."""
