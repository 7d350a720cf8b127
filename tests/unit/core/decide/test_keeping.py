"""Keys of tickets, refresh tokens of data sources, and stored values."""

import pytest

from sessiond.core.changes import (
    BeginSourceRefresh,
    DropSourceGrant,
    DropTicketKey,
    KeepSourceGrant,
    KeepTicketKey,
    NextEpoch,
    RefuseSource,
    RotateSource,
    WriteValue,
)
from sessiond.core.queries import FindSourceGrant, FindValue, ListTicketKeys, ListValues
from sessiond.core.secret import Secret
from sessiond.core.source_grant import SourceGrant
from sessiond.core.stored_value import MAX_VALUES, NotOwner, StoredValue, WriteAnswer
from sessiond.core.ticket import TicketKey
from tests.fakes import MINUTE, START, token_hash
from tests.unit.core.decide.ledger import Ledger

SEED = token_hash("seed")


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def keep(ledger: Ledger, text: str = "first") -> None:
    ledger.ask(KeepSourceGrant(name="feed", client="c", seed=SEED, refresh_token=Secret(text)))


def begin(ledger: Ledger) -> SourceGrant | None:
    return ledger.ask(BeginSourceRefresh(name="feed"))


def write(
    ledger: Ledger, text: str | None, *, name: str = "a", uid: int = 1, context: str = "c"
) -> WriteAnswer:
    return ledger.ask(
        WriteValue(
            context=context,
            name=name,
            uid=uid,
            is_shared=False,
            value=None if text is None else Secret(text),
            max_contexts=2,
        )
    )


def read(ledger: Ledger, *, name: str = "a", uid: int = 1, is_shared: bool = False) -> object:
    return ledger.ask(FindValue(context="c", name=name, uid=uid, is_shared=is_shared))


def test_a_ticket_key_is_kept_until_it_is_dropped(ledger: Ledger) -> None:
    old = TicketKey(id="old", public=bytes(32), made_at=START)
    new = TicketKey(id="new", public=bytes(32), made_at=START + MINUTE)
    for each in (new, old):
        ledger.ask(KeepTicketKey(key=each, secret=Secret(f"private {each.id}")))
    assert ledger.secrets == ["private new", "private old"]
    assert ledger.ask(ListTicketKeys()) == [old, new]
    ledger.ask(DropTicketKey(id="old"))
    assert ledger.ask(ListTicketKeys()) == [new]
    ledger.ask(DropTicketKey(id="old"))
    assert ledger.writes == []


def test_a_source_s_refresh_is_on_disk_before_it_is_sent(ledger: Ledger) -> None:
    assert begin(ledger) is None
    keep(ledger)
    kept = SourceGrant(name="feed", client="c", seed=SEED, kept_at=START)
    assert ledger.ask(FindSourceGrant(name="feed")) == kept
    begun = begin(ledger)
    assert begun is not None
    assert begun.in_flight_since == START
    assert ledger.rows.source_grants["feed"] == begun
    assert begin(ledger) == begun  # after a crash between, too
    assert ledger.ask(RotateSource(name="feed", refresh_token=Secret("second")))
    assert ledger.ask(FindSourceGrant(name="feed")) == kept
    assert ledger.secrets == ["first", "second"]


def test_a_source_s_refresh_token_that_stays_good_stays(ledger: Ledger) -> None:
    keep(ledger)
    begin(ledger)
    assert ledger.ask(RotateSource(name="feed", refresh_token=None))
    assert ledger.secrets == ["first"]


def test_what_the_issuer_says_of_a_token_that_was_replaced_changes_nothing(ledger: Ledger) -> None:
    keep(ledger)
    begin(ledger)
    keep(ledger, "an operator's")
    assert not ledger.ask(RotateSource(name="feed", refresh_token=Secret("second")))
    ledger.ask(RefuseSource(name="feed"))
    assert begin(ledger) is not None
    assert ledger.secrets == ["first", "an operator's"]


def test_what_was_refused_is_never_sent_again(ledger: Ledger) -> None:
    keep(ledger)
    begin(ledger)
    ledger.ask(RefuseSource(name="feed"))
    assert begin(ledger) is None
    refused = ledger.ask(FindSourceGrant(name="feed"))
    assert refused is not None
    assert (refused.is_refused, refused.seed) == (True, SEED)
    assert not ledger.ask(RotateSource(name="feed", refresh_token=Secret("second")))
    keep(ledger, "another")
    assert begin(ledger) is not None


def test_a_source_s_grant_is_dropped(ledger: Ledger) -> None:
    keep(ledger)
    ledger.ask(DropSourceGrant(name="feed"))
    assert ledger.ask(FindSourceGrant(name="feed")) is None
    for nothing in (DropSourceGrant(name="feed"), RefuseSource(name="feed")):
        ledger.ask(nothing)
        assert ledger.writes == []
    assert not ledger.ask(RotateSource(name="feed", refresh_token=None))


def test_a_value_is_there_for_its_user(ledger: Ledger) -> None:
    assert read(ledger) is None
    assert write(ledger, "für") is WriteAnswer.WRITTEN
    value = StoredValue(context="c", name="a", size=3, written_at=START)
    assert read(ledger) == value
    assert read(ledger, name="b") is None
    assert isinstance(read(ledger, uid=2), NotOwner)
    assert read(ledger, uid=2, is_shared=True) == value
    assert write(ledger, "two", uid=2) is WriteAnswer.NOTOWNER
    assert ledger.secrets == ["für"]


def test_a_shared_context_is_written_by_others_and_stays_its_first_user_s(ledger: Ledger) -> None:
    write(ledger, "one")
    shared = WriteValue(
        context="c", name="a", uid=2, is_shared=True, value=Secret("two"), max_contexts=2
    )
    assert ledger.ask(shared) is WriteAnswer.WRITTEN
    assert isinstance(read(ledger, uid=2), NotOwner)


@pytest.mark.parametrize("nothing", [None, ""])
def test_a_context_goes_with_its_last_value(ledger: Ledger, nothing: str | None) -> None:
    write(ledger, "one")
    write(ledger, "two", name="b")
    assert write(ledger, nothing) is WriteAnswer.WRITTEN
    assert (read(ledger), list(ledger.rows.contexts)) == (None, ["c"])
    assert write(ledger, nothing, name="never there") is WriteAnswer.WRITTEN
    assert list(ledger.rows.contexts) == ["c"]
    assert write(ledger, nothing, name="b") is WriteAnswer.WRITTEN
    assert not ledger.rows.contexts
    assert write(ledger, nothing, name="b") is WriteAnswer.WRITTEN
    assert ledger.writes == []
    assert write(ledger, "two's", uid=2) is WriteAnswer.WRITTEN


def test_there_are_only_so_many_contexts_and_values(ledger: Ledger) -> None:
    for number in range(MAX_VALUES):
        assert write(ledger, "x", name=str(number)) is WriteAnswer.WRITTEN
    assert write(ledger, "x", name="one more") is WriteAnswer.FULL
    assert write(ledger, "y", name="0") is WriteAnswer.WRITTEN
    assert write(ledger, "x", context="d") is WriteAnswer.WRITTEN
    assert write(ledger, "x", context="e") is WriteAnswer.FULL


def test_the_last_quarter_of_all_contexts_is_for_who_has_less_than_that(ledger: Ledger) -> None:
    def taken(uid: int, context: str) -> bool:
        change = WriteValue(
            context=context, name="a", uid=uid, is_shared=False, value=Secret("x"), max_contexts=8
        )
        return ledger.ask(change) is WriteAnswer.WRITTEN

    assert [taken(1, f"one's {number}") for number in range(8)] == [True] * 6 + [False] * 2
    assert [taken(2, f"two's {number}") for number in range(3)] == [True, True, False]
    assert not taken(3, "three's")


def test_all_values_are_listed_some_at_a_time(ledger: Ledger) -> None:
    assert ledger.ask(ListValues()) == []
    for context in ("d", "c"):
        for number in range(MAX_VALUES, 0, -1):
            write(ledger, "x", name=f"{number:02}", context=context)
    found = ledger.ask(ListValues())
    assert [each.context.context for each in found] == ["c", "d"]
    assert [each.name for each in found[0].values] == [f"{n:02}" for n in range(1, MAX_VALUES + 1)]
    assert ledger.pieces == 1
    extra = WriteValue(
        context="e", name="a", uid=1, is_shared=False, value=Secret("x"), max_contexts=9
    )
    ledger.ask(extra)
    assert len(ledger.ask(ListValues())) == 3
    assert ledger.pieces == 2


def test_a_page_of_contexts_passes_over_no_other(ledger: Ledger) -> None:
    for context in ("d", "c"):
        write(ledger, "x", context=context)
    assert [each.context.context for each in ledger.ask(ListValues(limit=1))] == ["c"]
    assert [each.context.context for each in ledger.ask(ListValues(after="c"))] == ["d"]
    assert ledger.ask(ListValues(after="d", limit=1)) == []


def test_a_context_that_went_while_the_others_were_listed_is_left_out(ledger: Ledger) -> None:
    write(ledger, "x")
    assert ledger.ask(ListValues(unseen=("gone", "c")))[0].context.context == "c"


def test_each_epoch_is_one_more(ledger: Ledger) -> None:
    assert [ledger.ask(NextEpoch(name="locks")) for _ in range(3)] == [1, 2, 3]
    assert ledger.ask(NextEpoch(name="other")) == 1
