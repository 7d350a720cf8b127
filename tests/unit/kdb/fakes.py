"""What stands in for a connection."""

from dataclasses import dataclass, field
from datetime import timedelta

import anyio

from sessiond.core.errors import Refusal
from sessiond.core.secret import Secret
from sessiond.core.session import ActiveSession, ProcessAbout
from sessiond.sources.answer import Answer as SourceAnswer
from sessiond.sources.answer import NotGiven, Reason
from sessiond.sources.asking import Asking
from sessiond.sources.kept_token import KeptToken
from sessiond.web.answer import BASIC, Answer
from sessiond.web.challenge import bearer_denied
from sessiond.web.request import Request
from tests.fakes import START


@dataclass
class FakeLine:
    """Fulfils `Line`."""

    pushed: list[bytes] = field(default_factory=list)
    is_cut: bool = False

    def push(self, *messages: bytes) -> None:
        self.pushed += messages

    def cut(self) -> None:
        self.is_cut = True


@dataclass
class FakeWeb:
    """Fulfils `WebAnswers`."""

    says: Answer = BASIC
    is_at_once: bool = True
    asked: list[Request] = field(default_factory=list)
    may_go_on: anyio.Event = field(default_factory=anyio.Event)
    was_left: bool = False

    def answer_now(self, request: Request) -> Answer | None:
        self.asked.append(request)
        return self.says if self.is_at_once else None

    async def answer(self, request: Request, *, deadline: float) -> Answer:
        try:
            await self.may_go_on.wait()
        except anyio.get_cancelled_exc_class():
            self.was_left = True
            raise
        return self.says

    def bearer_allowed(self, active: ActiveSession) -> Answer:
        return Answer(action="allow", active=active, keep=timedelta(seconds=60))

    def bearer_denied(self, reason: Refusal, about: ProcessAbout) -> Answer:
        return bearer_denied(reason)


GIVEN = KeptToken(
    token=Secret("token1"), asked_at=0.0, life=300.0, expires_at=START + timedelta(seconds=300)
)


@dataclass
class FakeSources:
    """Fulfils `SourceAnswers`."""

    says: SourceAnswer = GIVEN
    is_at_once: bool = True
    asked: list[Asking] = field(default_factory=list)
    may_go_on: anyio.Event = field(default_factory=anyio.Event)
    was_left: bool = False

    def find(self, asking: Asking) -> SourceAnswer | None:
        self.asked.append(asking)
        return self.says if self.is_at_once else None

    async def answer(self, asking: Asking) -> SourceAnswer:
        try:
            await self.may_go_on.wait()
        except anyio.get_cancelled_exc_class():
            self.was_left = True
            raise
        return self.says

    def late(self, asking: Asking) -> NotGiven:
        return NotGiven(reason=Reason.UNAVAILABLE, detail="late")
