"""The marker of tests that install everything on a Debian of their own: minutes each."""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "install: installs on a bare Debian; needs root, a network")


@pytest.fixture(scope="session", autouse=True)
def proxy() -> None:
    """Leave the machine's: packages come from the network here."""
