"""What is sealed beside rows opens only where it belongs."""

import pytest
from structlog.testing import capture_logs

from sessiond.core.errors import StoreError
from sessiond.core.secret import Secret
from sessiond.core.stored_value import StoredValue
from sessiond.core.ticket import TicketKey
from sessiond.store import row_secrets
from sessiond.store.sealing import KeyRing
from tests.fakes import START

RING = KeyRing({1: bytes(32)})
KEY = TicketKey(id="kid", public=bytes(32), made_at=START)


def value(context: str, name: str) -> StoredValue:
    return StoredValue(context=context, name=name, size=1, written_at=START)


def test_a_secret_opens_beside_its_own_row() -> None:
    kind, name, sealed = row_secrets.write(KEY, Secret("private"), RING)
    assert (kind, name) == ("ticket_key", '["kid"]')
    found = row_secrets.read(KEY, sealed, RING)
    assert found is not None
    assert found.reveal() == "private"


@pytest.mark.parametrize("other", [value("a", "b/c"), value("a/b", "c"), value('a","b', "c")])
def test_no_two_rows_have_one_place(other: StoredValue) -> None:
    _, __, sealed = row_secrets.write(value("a", "b"), Secret("x"), RING)
    with capture_logs() as logs:
        assert row_secrets.read(other, sealed, RING) is None
    assert [each["event"] for each in logs] == ["secret lost"]


def test_one_that_a_newer_key_has_sealed_is_there_after_a_reload() -> None:
    _, __, sealed = row_secrets.write(KEY, Secret("x"), KeyRing({2: bytes(32)}))
    with pytest.raises(StoreError, match="reload it"):
        row_secrets.read(KEY, sealed, RING)
