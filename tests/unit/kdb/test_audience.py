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

    async def taken(self) -> None:
        """Take everything at once."""


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
    assert stage.audience.begin(asking, count=9)
    assert stage.audience.begin(asking_too, count=9)
    stage.write(Put(session(1)), Put(session(2, typed="bob")))
    [given], [given_too] = one.pushed, another.pushed
    assert given == standing(session(1)) + standing(session(2, typed="bob"))
    assert given is given_too


def test_who_is_being_answered_hears_what_its_answer_did_not_say_once_it_is_answered() -> None:
    stage = Stage()
    follower, answering = stage.ask()
    stage.write(Put(session(1)))
    assert follower.pushed == []
    assert stage.audience.begin(answering, count=9)
    assert follower.pushed == [standing(session(1))]


def test_who_came_and_left_while_it_was_answered_is_not_told() -> None:
    stage = Stage()
    follower, answering = stage.ask()
    stage.write(Put(session(1)))
    stage.write(Drop(session(1)))
    assert stage.audience.begin(answering, count=9)
    assert follower.pushed == []


def test_what_an_answer_did_not_say_is_told_in_pieces_and_then_whatever_changes() -> None:
    stage = Stage()
    follower, answering = stage.ask()
    for number in range(4):
        stage.write(Put(session(number, typed=f"user{number}")))
    for told, is_last in enumerate((False, False, False, True), 1):
        assert stage.audience.begin(answering, count=1) is is_last
        assert len(follower.pushed) == told
    assert sorted(follower.pushed) == [
        standing(session(number, typed=f"user{number}")) for number in range(4)
    ]
    stage.write(Drop(session(0, typed="user0")))
    assert len(follower.pushed) == 5


def test_who_changes_and_changes_back_between_two_pieces_is_told_nothing_more() -> None:
    stage = Stage()
    follower, answering = stage.ask()
    stage.write(Put(session(1, typed="bob")))
    answering.changed.add("nobody")
    while "bob" in answering.changed:
        stage.audience.begin(answering, count=1)
        answering.changed.add("nobody")
    stage.write(Drop(session(1, typed="bob")))
    stage.write(Put(session(1, typed="bob")))
    assert stage.audience.begin(answering, count=9)
    assert follower.pushed == [standing(session(1, typed="bob"))]


def test_what_an_answer_replaces_is_not_pushed_behind_it() -> None:
    stage = Stage()
    follower, answering = stage.ask()
    stage.audience.followers[follower] = process_about()  # by an answer before
    stage.audience.replace(answering)
    stage.write(Put(session(1)))
    assert follower.pushed == []
    assert stage.audience.begin(answering, count=9)
    assert follower.pushed == [standing(session(1))]


def test_who_left_while_it_was_answered_is_told_nothing() -> None:
    stage = Stage()
    follower, answering = stage.ask()
    stage.audience.leave(follower)
    assert stage.audience.begin(answering, count=9)
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
