"""A receiver with a certificate, and secrets in files."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

sys.path.append(str(Path(__file__).parent))  # for receiving: these tests are no package

from receiving import SECRET, Receiver, secret_file


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": False}


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Who the receiver's certificate is from: nobody that the machine knows."""
    return trustme.CA()


@pytest.fixture
def receiver(authority: trustme.CA) -> Iterator[Receiver]:
    """A receiver on this machine, over TLS."""
    with Receiver(authority) as running:
        yield running


@pytest.fixture
def keys(authority: trustme.CA, receiver: Receiver, tmp_path: Path) -> dict[str, object]:
    """The settings of a webhook to that receiver, signed with SECRET."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return {
        "url": f"https://localhost:{receiver.port}/hook?code=hush",
        "ca_file": str(tmp_path / "ca.pem"),
        "secret_file": secret_file(tmp_path / "secret", SECRET),
    }
