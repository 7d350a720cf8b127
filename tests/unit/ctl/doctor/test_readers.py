"""Programs that come for tokens are no readers, and nobody else is by accident."""

import pytest

from sessiond.config import read
from sessiond.ctl.doctor.readers import readers
from tests.unit.config.test_issuers import issuer

STORES = '[stores]\nusers = ["root"]\n'


@pytest.mark.parametrize(
    ("text", "are_found"),
    [
        ("", False),
        ('[listen]\ncontrol_readers = ["root"]\n' + STORES, False),
        (STORES, True),
    ],
)
def test_who_looks_is_to_be_named_where_programs_are_let_in(text: str, are_found: bool) -> None:
    found = [each.check for each in readers(read(issuer() + text))]
    assert found == (["control readers"] if are_found else [])
