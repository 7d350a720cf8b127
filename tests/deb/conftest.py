"""A Debian of its own is made from a mirror, by whatever way leads there."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def proxy() -> None:
    """Leave the machine's: packages come from the network here."""
