"""How many names a tickerplant is given."""

from datetime import datetime, timedelta

import msgspec
from kdb_standin import AT, COLUMNS, EVENTS
from sessiond_kdb.names import ANOTHER_EVERY, NAMES, ProcessNames
from sessiond_kdb.rows import columns

from sessiond.api import Event, ProcessAbout
from sessiond.qipc import QType, Vector


def said(name: str, *, at: datetime = AT) -> Event:
    about = ProcessAbout(name=name, type="gateway", host="host1", pid=1)
    return msgspec.structs.replace(EVENTS[0], process=about, at=at)


def test_beyond_a_number_new_names_are_nobodys_and_known_ones_stay() -> None:
    names = ProcessNames()
    many = [f"p{number}" for number in range(NAMES)]
    assert [names.given(said(name)) for name in many] == many
    assert names.given(said("one more")) == ""
    assert names.given(said("p0")) == "p0"
    later = AT + ANOTHER_EVERY
    assert names.given(said("one more", at=later)) == "one more"
    assert names.given(said("and another", at=later)) == ""
    assert names.given(said("and another", at=AT)) == ""  # the clock was set back


def test_however_quiet_it_was_there_are_never_more_than_so_many_at_once() -> None:
    names = ProcessNames()
    assert names.given(said("first")) == "first"
    later = AT + timedelta(days=3650)
    given = [names.given(said(f"p{number}", at=later)) for number in range(NAMES + 1)]
    assert given[-2:] == [f"p{NAMES - 1}", ""]


def test_an_event_of_no_process_has_no_name() -> None:
    assert ProcessNames().given(EVENTS[-1]) == ""


def test_rows_have_no_other_names() -> None:
    rows = columns(EVENTS, "timestamp", lambda _: "").items[COLUMNS.index("process")]
    assert rows == Vector(QType.SYMBOL, ("", "", "", ""))
