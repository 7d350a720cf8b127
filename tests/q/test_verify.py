"""The checks for owners of kdb+ run to their end, and can tell ok from FAIL."""

import subprocess
from itertools import pairwise

import pytest

from tests.q.interpreter import HOOK

pytestmark = pytest.mark.needs("q")


def test_the_checks_for_kdb_run_to_their_end(q_executable: str) -> None:
    ran = subprocess.run(
        [q_executable, HOOK / "verify.q", "-daemon", "1"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )
    lines = [line for line in ran.stdout.splitlines() if line.strip()]
    verdicts = [line.split()[0] for line in lines if not line.startswith(" ")]
    assert "ok    -33! is sha1" in ran.stdout
    assert "ok    the proof of an example key" in ran.stdout
    for asked in ("a GET, with headers, symbols to strings", "a POST", "a websocket"):
        assert f"ok    .z.ac is asked for {asked}" in ran.stdout
    assert verdicts[-1] == "note"
    assert ran.returncode == verdicts.count("FAIL")
    points = [line for line, after in pairwise(lines) if not after.startswith(" ")]
    assert [line for line in points if line.startswith("FAIL")] == []  # each says what to do
    _, _, of_daemon = ran.stdout.partition("FAIL  hopen `:unix:// reaches sessiond")
    assert "sessionctl doctor" in of_daemon
    assert set(verdicts) <= {"ok", "FAIL", "note", "skip"}
