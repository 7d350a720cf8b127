"""A directory that only we can write, as the log wants it."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))  # for audit_events: these tests are no package


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the log goes."""
    return tmp_path / "audit.jsonl"
