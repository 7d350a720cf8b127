"""Never run, only type-checked: who answers a query could not write, were he to try.

Each line is an error to mypy, which complains of an `ignore` that is not needed any more.
"""

from sessiond.core.answering import answer
from sessiond.core.changes import Withdraw
from sessiond.core.decide import decide
from sessiond.core.decide.draft import Draft
from sessiond.core.decide.login import withdraw
from sessiond.core.queries import FindSession
from sessiond.core.reading import Reading
from sessiond.core.rows import Put, RowsView
from sessiond.core.session import Session


def write(reading: Reading, session: Session) -> None:
    reading.put(session)  # type: ignore[attr-defined]
    reading.writes.append(Put(session))  # type: ignore[attr-defined]
    reading.rows.apply(Put(session))  # type: ignore[attr-defined]
    reading.rows.put_states([session])  # type: ignore[attr-defined]
    reading.rows.sessions[session.id] = session  # type: ignore[index]
    reading.rows.sessions = {}  # type: ignore[misc]


def have_it_written(reading: Reading, change: Withdraw) -> None:
    withdraw(reading, change)  # type: ignore[arg-type]


def write_while_deciding(draft: Draft, session: Session) -> None:
    draft.rows.apply(Put(session))  # type: ignore[attr-defined]


def take_one_for_the_other(reading: Reading, query: FindSession, change: Withdraw) -> None:
    decide(reading.rows, query, reading.now, reading.rules)  # type: ignore[arg-type]
    answer(reading.rows, change, reading.now, reading.rules)  # type: ignore[arg-type]


def write_what_operators_read(rows: RowsView, session: Session) -> None:
    rows.apply(Put(session))  # type: ignore[attr-defined]
