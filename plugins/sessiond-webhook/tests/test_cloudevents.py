"""What a CloudEvent is called."""

from receiving import AT, revoked
from sessiond_webhook.cloudevents import id_of

from sessiond.api import Gap, SessionRevoked


def test_an_event_of_a_new_store_has_another_id_than_the_old_one_of_that_number() -> None:
    old = SessionRevoked(sequence=1, at=AT)
    new = SessionRevoked(sequence=1, at=AT.replace(microsecond=1))
    assert id_of(old) != id_of(new)
    assert id_of(new) == "1-1795253400000001"


def test_a_gap_has_one_id_whenever_it_is_told() -> None:
    gap = Gap(sequence=9, at=AT, after=4, before=10)
    later = Gap(sequence=9, at=AT.replace(hour=12), after=4, before=10)
    assert id_of(gap) == id_of(later) == "9-gap-4"
    assert id_of(gap) != id_of(revoked(9))
