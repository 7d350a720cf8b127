"""A person with a browser, who signs in at the test issuer: npm's oidc-provider."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1]))  # for walking: these tests are no package

from bent_issuer import BentIssuer
from walking import Walker

from tests.conftest import lent, proxy
from tests.issuer.running import RunningIssuer
from tests.needs import absent, is_error

__all__ = ["proxy"]  # one that leads nowhere: what speaks to this computer goes past it


def need(what: str) -> None:
    """Skip, or fail where everything is to be run, what lacks something of the machine."""
    if reason := absent(what):
        (pytest.fail if is_error(what) else pytest.skip)(f"needs {what}: {reason}")


@pytest.fixture(scope="session")
def running_tls_issuer() -> Iterator[RunningIssuer]:
    need("real")
    with RunningIssuer(tls=True, rotation="entra", scopeless="graph", typ="JWT") as issuer:
        yield issuer


@pytest.fixture
def entra(running_tls_issuer: RunningIssuer) -> Iterator[RunningIssuer]:
    """Entra-shaped, as MSAL wants it: TLS by an authority of its own; tolerant rotation."""
    yield from lent(running_tls_issuer)


@pytest.fixture
def alice() -> Iterator[Walker]:
    """Somebody who signs in on whatever page is shown, in a browser with a fresh cookie jar."""
    with Walker() as person:
        yield person


@pytest.fixture
def issuer() -> Iterator[BentIssuer]:
    """One in this process, good unless a test bends it."""
    with BentIssuer() as running:
        yield running
