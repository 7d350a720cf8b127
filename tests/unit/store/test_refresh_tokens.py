"""A sealed refresh token opens in the row of its own grant, and nowhere else."""

import pytest
from structlog.testing import capture_logs

from sessiond.core.errors import StoreError
from sessiond.core.secret import Secret
from sessiond.store import refresh_tokens
from sessiond.store.sealing import KeyRing
from tests.fakes import grant, grant_id

RING = KeyRing({1: bytes(32)})


def test_what_is_written_for_a_grant_is_read_for_it() -> None:
    key, issuer, subject, sealed = refresh_tokens.write(grant(1), Secret("refresh"), RING)
    assert (key, issuer, subject) == (grant_id(1).bytes, "corp", "subject of alice")
    assert b"refresh" not in sealed
    found = refresh_tokens.read(grant_id(1), (issuer, subject, sealed), RING)
    assert found is not None
    assert found.reveal() == "refresh"


def test_one_that_does_not_open_is_lost_and_told() -> None:
    _, issuer, subject, sealed = refresh_tokens.write(grant(1), Secret("refresh"), RING)
    with capture_logs() as logs:
        assert refresh_tokens.read(grant_id(2), (issuer, subject, sealed), RING) is None
        assert refresh_tokens.read(grant_id(1), (issuer, "eve", sealed), RING) is None
        other = KeyRing({2: bytes(32)})
        assert refresh_tokens.read(grant_id(1), (issuer, subject, sealed), other) is None
    assert [each["event"] for each in logs] == ["refresh token lost"] * 3
    assert "refresh!" not in str(logs)


def test_one_that_was_sealed_anew_with_a_key_not_read_yet_is_not_lost() -> None:
    newer = KeyRing({1: bytes(32), 2: b"n" * 32})
    _, issuer, subject, sealed = refresh_tokens.write(grant(1), Secret("refresh"), newer)
    with capture_logs() as logs, pytest.raises(StoreError, match="sealed with key 2"):
        refresh_tokens.read(grant_id(1), (issuer, subject, sealed), RING)
    assert not logs
