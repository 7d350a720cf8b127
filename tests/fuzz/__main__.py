"""`make fuzz`: every target for two minutes, guided by the lines it reaches (atheris).

python -m tests.fuzz [--seconds N] [--keep FOLDER] [NAME ...]

Exits 1 when there is a finding, whose input is then kept.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.damage import WORDS
from tests.fuzz.targets import TARGETS, Target

SLOW = 10  # seconds for one input: then that is a finding
_FIGURES = re.compile(r"^#(\d+)\s.*\bcov: (\d+)", re.MULTILINE)
_ESCAPED = {0x22, 0x5C}  # a quote and a backslash, in libFuzzer's dictionaries


@dataclass(frozen=True)
class Outcome:
    name: str
    executions: int
    coverage: int  # edges of sessiond's code
    findings: tuple[Path, ...]
    words: str  # of the fuzzer, where it found something or did not run


def main(argv: Sequence[str] | None = None) -> int:
    """Fuzz, as many targets at a time as there are processors, and print a line for each."""
    names = [target.name for target in TARGETS]
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=120, help="for each target (default 120)")
    parser.add_argument("--keep", type=Path, help="folder for findings and what was learned")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names))
    options = parser.parse_args(argv)
    if unknown := set(options.names) - set(names):
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    folder = options.keep or Path(tempfile.mkdtemp(prefix="sessiond-fuzz-"))
    wanted = [target for target in TARGETS if target.name in (options.names or names)]
    print(f"{'target':<18}{'executions':>12}{'coverage':>10}  findings", flush=True)
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        outcomes = []
        for outcome in threads.map(lambda t: _fuzzed(t, folder / t.name, options.seconds), wanted):
            outcomes.append(outcome)
            _show(outcome)
    return 1 if any(outcome.words for outcome in outcomes) else 0


def _fuzzed(target: Target, folder: Path, seconds: int) -> Outcome:
    """Run one target in a process of its own: libFuzzer ends the one it is in."""
    corpus, findings = folder / "corpus", folder / "findings"
    for each in (corpus, findings):
        each.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate([*target.seeds, *target.refused]):
        (corpus / f"seed-{number}").write_bytes(seed)
    (folder / "words").write_text("\n".join(map(_quoted, WORDS)), encoding="ascii")
    longest = max(4096, *(2 * len(seed) for seed in target.seeds))
    command = [sys.executable, "-m", "tests.fuzz.guided", target.name, str(corpus)]
    limits = [f"-max_total_time={seconds}", f"-timeout={SLOW}", f"-max_len={longest}"]
    places = [f"-artifact_prefix={findings}/", f"-dict={folder / 'words'}"]
    run = subprocess.run(  # its standard error is what libFuzzer prints
        [*command, *limits, *places], capture_output=True, text=True, errors="replace", check=False
    )
    figures = _FIGURES.findall(run.stderr) or [("0", "0")]
    return Outcome(
        name=target.name,
        executions=int(figures[-1][0]),
        coverage=int(figures[-1][1]),
        findings=tuple(sorted(findings.iterdir())),
        words=(run.stdout + run.stderr)[-4000:] if run.returncode else "",
    )


def _show(outcome: Outcome) -> None:
    findings = " ".join(map(str, outcome.findings)) or ("none" if not outcome.words else "failed")
    print(f"{outcome.name:<18}{outcome.executions:>12}{outcome.coverage:>10}  {findings}")
    if outcome.words:
        print(outcome.words)
    sys.stdout.flush()


def _quoted(word: bytes) -> str:
    """Return a word as libFuzzer's dictionaries have it."""
    plain = (
        chr(byte) if 0x20 <= byte < 0x7F and byte not in _ESCAPED else f"\\x{byte:02x}"
        for byte in word
    )
    return f'"{"".join(plain)}"'


if __name__ == "__main__":
    sys.exit(main())
