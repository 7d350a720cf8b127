"""What a start does not wait for: only what a configuration asks for is imported."""

import subprocess
import sys

import pytest

# Refreshing at Microsoft Entra, HTTP for other programs and people, the demonstration, commands.
NOT_NEEDED = (
    "msal",
    "requests",
    "jinja2",
    "sessiond.issuers.entra",
    "sessiond.demo",
    "sessiond.testing",
    "sessiond.ctl",
    "sessiond.install_units",
    "sessiond.shared_files",
    "sessiond.store.rotation",
    "sessiond.extensions.subscribers.child",
)
PROGRAM = """
import sys, sessiond.cli, sessiond.daemon
print("\\n".join(sys.modules))
"""


@pytest.fixture(scope="module")
def imported() -> set[str]:
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    return set(ran.stdout.split())


@pytest.mark.parametrize("name", NOT_NEEDED)
def test_the_daemon_does_not_import_what_it_may_not_need(imported: set[str], name: str) -> None:
    assert "sessiond.daemon.serving" in imported
    assert name not in imported
