"""Who is let in for tokens makes the list of readers strict."""

import pytest

from sessiond.config import read
from sessiond.config.programs import lets_programs_in
from tests.unit.config.test_issuers import issuer

GUARD = '[[access.process]]\nname = "feed*"\npeers = [1]\n'
SOURCE = f"""{GUARD}[[source]]
name = "quotes"
issuer = "corp"
grant = "client_credentials"
client_id = "feeds"
processes = ["feed*"]
"""

TICKETS = f'{GUARD}[tickets]\naudiences = ["feed*"]\n'


@pytest.mark.parametrize(
    ("text", "are_let_in"),
    [
        ("", False),
        ("[stores]\nusers = [1]\n", True),
        (SOURCE, False),
        (f"{SOURCE}readers = [1]\n", True),
        (TICKETS, False),
        (f"{TICKETS}exchangers = [1]\n", True),
    ],
)
def test_stores_readers_of_sources_and_exchangers_are_programs(text: str, are_let_in: bool) -> None:
    assert lets_programs_in(read(issuer() + text)) is are_let_in
