"""Followers under one ceiling: told the same bytes, and each from its own answer on."""

from sessiond.core.access import AccessRules, Ceiling
from sessiond.core.present import Present
from sessiond.core.rows import Drop, Put, Write
from sessiond.core.session import Session
from sessiond.core.standing import standing_at
from sessiond.kdb import replies
from sessiond.kdb.audience import Answering, Audience
from tests.fakes import process_about, session

RDB = Ceiling(roles=("read*",), estate=True)
RULES = AccessRules(ceilings=(RDB,))


class FakeFollower:
    """Fulfils `Follower`."""

    label = "rdb1"

    def __init__(self) -> None:
        self.pushed: list[bytes] = []

    def push(self, *messages: bytes) -> None:
        self.pushed += messages

    def cut(self, why: str = "") -> None:
        raise AssertionError(why)


def told_as(of: Session) -> str:
    return of.typed


def standing(of: Session) -> bytes:
    found = standing_at(RULES, process_about(), of)
    assert found is not None
    return replies.standing(of.typed, found)


class Stage:
    """An audience, and who is there."""

    def __init__(self, *found: Session) -> None:
        self.present = Present(found, told_as)
        self.present.fill(len(found))
        self.audience = Audience(RDB, process_about())

    def ask(self) -> tuple[FakeFollower, Answering]:
        follower = FakeFollower()
        answering = Answering(self.audience, follower, process_about())
        self.audience.answering[answering] = None
        return follower, answering

    def write(self, *writes: Write) -> None:
        put, left = self.present.take(writes)
        self.audience.look(self.present, RULES, names=put + left)


def test_all_who_follow_are_given_one_message_object() -> None:
    stage = Stage()
    (one, asking), (another, asking_too) = stage.ask(), stage.ask()
    stage.audience.begin(asking)
    stage.audience.begin(asking_too)
    stage.write(Put(session(1)), Put(session(2, typed="bob")))
    [given], [given_too] = one.pushed, another.pushed
    assert given == standing(session(1)) + standing(session(2, typed="bob"))
    assert given is given_too


def test_who_is_being_answered_hears_what_its_answer_did_not_say_once_it_is_answered() -> None:
    stage = Stage()
    follower, answering = stage.ask()
    stage.write(Put(session(1)))
    assert follower.pushed == []
    stage.audience.begin(answering)
    assert follower.pushed == [standing(session(1))]


def test_who_came_and_left_while_it_was_answered_is_not_told() -> None:
    stage = Stage()
    follower, answering = stage.ask()
    stage.write(Put(session(1)))
    stage.write(Drop(session(1)))
    stage.audience.begin(answering)
    assert follower.pushed == []


def test_who_left_while_it_was_answered_is_told_nothing() -> None:
    stage = Stage()
    follower, answering = stage.ask()
    stage.audience.leave(follower)
    stage.audience.begin(answering)
    stage.write(Put(session(1)))
    assert follower.pushed == []
    assert not [*stage.audience.members]


def test_everybody_is_looked_at_in_pieces_and_anew_by_other_rules() -> None:
    stage = Stage(session(1), session(2, typed="bob"), session(3, typed="carol"))
    audience = stage.audience
    audience.look_through(stage.present, RULES, count=2)
    assert (len(audience.told), audience.is_behind) == (2, True)
    audience.due.add("nobody")  # has left meanwhile
    audience.look_through(stage.present, RULES, count=2)
    assert (len(audience.told), audience.is_behind) == (3, False)
    audience.look_anew()
    assert audience.is_behind
    audience.look_through(stage.present, AccessRules(protected=("reader",)), count=9)
    assert (audience.told, audience.is_behind) == ({}, False)
