"""What ends in time is noted once, however many rows there are."""

from collections import Counter

from sessiond.core.grant import KnownToken
from sessiond.core.ticket import SpentTicket
from sessiond.core.web_login import UsedState
from sessiond.core.written_rows import Rows
from sessiond.table.ends import TOGETHER, ends_of
from tests.fakes import HOUR, MINUTE, START, grant, grant_id, session, ticket_id, token_hash

MANY = 3 * TOGETHER + 1


def test_each_row_that_ends_is_looked_at_when_it_does_and_no_other() -> None:
    kept = KnownToken(hash=token_hash("own"), grant=grant_id(1), seen_at=START, keep_until=START)
    trace = KnownToken(hash=token_hash("old"), grant=None, seen_at=START, keep_until=START + HOUR)
    waiting, lasting = session(1, until=START + MINUTE), session(2)
    used = UsedState(hash=token_hash("state"), keep_until=START + MINUTE)
    spent = SpentTicket(id=ticket_id(1), session=lasting.id, keep_until=START + HOUR)
    rows = Rows([waiting, lasting, grant(1), kept, trace, used, spent])
    found = list(ends_of(rows))
    assert [(until, each.sessions) for until, each in found if each.sessions] == [
        (START + MINUTE, (waiting.id,))
    ]
    assert [(until, each.grants) for until, each in found if each.grants] == [
        (grant(1).lease.expires_at, (grant_id(1),))
    ]
    assert [(until, each.tokens) for until, each in found if each.tokens] == [
        (START + HOUR, (trace.hash,))
    ]
    assert [(until, each.states) for until, each in found if each.states] == [
        (START + MINUTE, (used.hash,))
    ]
    assert [(until, each.tickets) for until, each in found if each.tickets] == [
        (START + HOUR, (spent.id,))
    ]


def test_what_ends_at_one_time_is_noted_together_but_never_too_much_of_it() -> None:
    sessions = [session(number, until=START + MINUTE) for number in range(1, MANY + 1)]
    found = [each.sessions for _, each in ends_of(Rows(sessions))]
    assert len(found) == 4
    assert max(map(len, found)) == TOGETHER
    assert Counter(key for some in found for key in some) == Counter(each.id for each in sessions)
