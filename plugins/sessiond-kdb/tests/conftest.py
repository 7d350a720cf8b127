"""A socket to listen on, and a q interpreter."""

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.needs import absent, q_interpreter

sys.path.append(str(Path(__file__).parent))  # for kdb_standin: these tests are no package


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A TCP socket of this machine alone, bound and not listening yet."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound


@pytest.fixture
def q_executable() -> str:
    """`$SESSIOND_TEST_Q`, or `q` on the PATH."""
    if reason := absent("q"):
        pytest.skip(f"needs q: {reason}")
    found = q_interpreter()
    assert found is not None
    return found
