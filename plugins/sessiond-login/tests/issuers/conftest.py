"""A person with a browser, who signs in at the test issuer: npm's oidc-provider."""

from collections.abc import Iterator

import pytest
from bent_issuer import BentIssuer
from walking import Walker

from tests.conftest import lent
from tests.issuer.running import RunningIssuer


@pytest.fixture(scope="session")
def running_tls_issuer(issuer_can_run: None) -> Iterator[RunningIssuer]:
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
