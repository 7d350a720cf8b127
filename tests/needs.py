"""What a test needs of the machine, and one rule for when it is absent.

`@pytest.mark.needs("real")`: PyKX, Node.js and the test issuer's packages. Absent: skipped and
listed; an error when CI=true. `@pytest.mark.needs("q")`: a q interpreter, `$SESSIOND_TEST_Q` or `q`
on PATH. Absent: listed as not run, in CI too, since its licence does not travel.
"""

import os
import shutil
from importlib.util import find_spec

from tests.issuer.install import INSTALLED, node_home


def absent(what: str) -> str | None:
    """Return what is missing for `what`, or None when all of it is there."""
    match what:
        case "real":
            return _absent_real()
        case "q":
            return None if q_interpreter() else "no q: set SESSIOND_TEST_Q or put q on PATH"
        case _:
            raise ValueError(f"a test needs {what!r}; known: 'real', 'q'")


def is_error(what: str) -> bool:
    """Say whether the absence of `what` fails the test instead of skipping it."""
    return what == "real" and os.environ.get("CI") == "true"


def q_interpreter() -> str | None:
    """Return the path of the q to test with, or None."""
    return os.environ.get("SESSIOND_TEST_Q") or shutil.which("q")


def _absent_real() -> str | None:
    if find_spec("pykx") is None:
        return "no PyKX: pip install '.[real]'"
    if node_home() is None:
        return "no Node.js: pip install '.[real]'"
    if not INSTALLED.exists():
        return "no npm packages: python -m tests.issuer.install"
    return None
