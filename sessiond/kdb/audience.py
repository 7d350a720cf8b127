"""Processes that follow under one ceiling: what they were told, kept once and encoded once."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from sessiond.core.access import AccessRules, Ceiling
from sessiond.core.present import Present
from sessiond.core.session import ProcessAbout
from sessiond.core.standing import Standing, standing_at
from sessiond.kdb import replies


class Follower(Protocol):
    """The connection of a process that follows."""

    label: str  # what logs call the process

    def push(self, *messages: bytes) -> None:
        """Send encoded async messages. Never waits, and never raises."""
        ...

    def cut(self, why: str = "") -> None:
        """End the connection now, and log why."""
        ...

    async def taken(self) -> None:
        """Return when the socket has taken everything."""
        ...


class Answering:
    """One `follow` that is being answered, and of whom another is to be told meanwhile."""

    def __init__(self, audience: "Audience", follower: Follower, about: ProcessAbout) -> None:
        self.audience = audience
        self.follower = follower
        self.about = about
        self.message: bytes | None = None  # the answer, which all have who asked before it is made
        self.given: Mapping[str, Standing] = {}  # what that says
        self.changed = set[str]()  # names, since
        self.since: dict[str, Standing | None] = {}  # what was told of these beyond that


class Audience:
    """Who follows under one ceiling. Whoever is answered has been told what all have been."""

    def __init__(self, ceiling: Ceiling, about: ProcessAbout) -> None:
        self.ceiling = ceiling
        self.about = about  # of one of them: all others are told the same
        self.told: dict[str, Standing] = {}  # by the name that each is told under
        self.due = set[str]()  # names to be looked at
        self.unseen: list[str] | None = None  # of all, those not looked at yet; None: not listed
        self.is_whole = False  # everybody was looked at, by the rules of now
        self.followers: dict[Follower, ProcessAbout] = {}
        self.answering: dict[Answering, None] = {}
        self.is_lingering = False  # it is dropped at some time, if nobody comes

    @property
    def is_behind(self) -> bool:
        """Whether anybody is to be looked at."""
        return bool(self.due) or not self.is_whole

    @property
    def members(self) -> Iterator[tuple[Follower, ProcessAbout]]:
        """Who follows, or asks to."""
        yield from self.followers.items()
        yield from ((each.follower, each.about) for each in self.answering)

    def look_through(self, present: Present, rules: AccessRules, *, count: int) -> None:
        """Look at so many of those that are to be looked at."""
        if self.unseen is None:
            self.unseen = list(present.names)
        from_due = min(count, len(self.due))
        names = [self.due.pop() for _ in range(from_due)]
        names += [self.unseen.pop() for _ in range(min(count - from_due, len(self.unseen)))]
        self.look(present, rules, names=names)
        self.is_whole = self.is_whole or not (self.due or self.unseen)

    def look_anew(self) -> None:
        """Have everybody looked at by other rules."""
        self.unseen, self.is_whole = None, False

    def look(self, present: Present, rules: AccessRules, *, names: Iterable[str]) -> None:
        """Tell of these names what differs by now from what was told."""
        messages: list[bytes] = []
        for name in names:
            self.due.discard(name)
            session = present.newest(name)
            now = None if session is None else standing_at(rules, self.about, session)
            before = self.told.get(name)
            if now == before:
                continue
            if now is None:
                del self.told[name]
            else:
                self.told[name] = now
            for each in self.answering:
                each.changed.add(name)
            if self.followers:
                messages.append(_push(name, now, before))
        if messages:
            message = b"".join(messages)
            for follower in tuple(self.followers):  # one that does not read is cut, and leaves
                follower.push(message)

    def replace(self, answering: Answering) -> None:
        """Tell a process nothing that it was to hear before its answer: that is in the answer."""
        self.followers.pop(answering.follower, None)

    def begin(self, answering: Answering, *, count: int) -> bool:
        """Tell a process some of what its answer did not say yet; once it knows all, it follows.

        Returns whether that is so, or it has left.
        """
        if answering not in self.answering:
            return True
        changed, since, messages = answering.changed, answering.since, list[bytes]()
        for name in [changed.pop() for _ in range(min(count, len(changed)))]:
            now, before = self.told.get(name), since.get(name, answering.given.get(name))
            since[name] = now
            if now != before:
                messages.append(_push(name, now, before))
        if not changed:
            del self.answering[answering]
            self.followers[answering.follower] = answering.about
        if messages:
            answering.follower.push(*messages)
        return not changed

    def leave(self, follower: Follower) -> None:
        """Tell a process nothing more, and answer it no more."""
        self.followers.pop(follower, None)
        for each in [each for each in self.answering if each.follower is follower]:
            del self.answering[each]


def _push(name: str, now: Standing | None, before: Standing | None) -> bytes:
    if now is not None:
        return replies.standing(name, now)
    return replies.gone(name, "" if before is None else before.name)
