"""Where what these tests share is found, since they are no package; and the issuer."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import lent, proxy
from tests.issuer.running import RunningIssuer
from tests.needs import absent, is_error

sys.path.append(str(Path(__file__).parent))

__all__ = ["proxy"]  # one that leads nowhere: what speaks to this computer goes past it


@pytest.fixture(scope="session")
def issuer_can_run() -> None:
    """Skip, or fail where everything is to be run, what lacks npm's oidc-provider."""
    if reason := absent("real"):
        (pytest.fail if is_error("real") else pytest.skip)(f"needs real: {reason}")


@pytest.fixture(scope="session")
def running_strict_issuer(issuer_can_run: None) -> Iterator[RunningIssuer]:
    with RunningIssuer(rotation="strict") as issuer:
        yield issuer


@pytest.fixture
def strict_issuer(running_strict_issuer: RunningIssuer) -> Iterator[RunningIssuer]:
    """Plain http; a refresh token is good once, and its reuse ends the whole grant."""
    yield from lent(running_strict_issuer)
