"""The checks for owners of kdb+ run to their end, and can tell ok from FAIL."""

import subprocess

import pytest

from tests.q.interpreter import HOOK

pytestmark = pytest.mark.needs("q")


def test_the_checks_for_kdb_run_to_their_end(q_executable: str) -> None:
    ran = subprocess.run(
        [q_executable, HOOK / "verify.q"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )
    verdicts = [line.split()[0] for line in ran.stdout.splitlines() if line.strip()]
    assert "ok    -33! is sha1" in ran.stdout
    assert "ok    the proof of an example key" in ran.stdout
    assert verdicts[-1] == "note"
    assert ran.returncode == verdicts.count("FAIL")
    assert set(verdicts) <= {"ok", "FAIL", "note", "skip"}
