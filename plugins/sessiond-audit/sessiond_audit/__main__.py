"""`sessiond-audit`: says whether a log is as it was written, and who could do what by it."""

import argparse
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from sessiond_audit import asking
from sessiond_audit.asking import QuestionError
from sessiond_audit.kept import KeptError
from sessiond_audit.names import live, order, rotated
from sessiond_audit.verify import BrokenChainError, Findings, Hole, verify

EX_BROKEN = 1


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(os.EX_USAGE, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 1 for a broken chain, else as in sysexits.h."""
    parser = _Parser(prog="sessiond-audit", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="verify|who")
    command = commands.add_parser("verify", help="check the chain of one log or of several")
    command.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a log or its files")
    command.add_argument("--expect", type=_hash, metavar="HASH", help="a line that must be there")
    command.set_defaults(carry_out=_verify)
    command = commands.add_parser("who", help="who could have a role at a process, when, and why")
    command.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a log or its files")
    asking.add_options(command)
    command.set_defaults(carry_out=_who)
    options = parser.parse_args(arguments)
    try:
        return int(options.carry_out(options))
    except (QuestionError, KeptError) as error:
        sys.stderr.write(f"sessiond-audit: {error}\n")
        return os.EX_USAGE if isinstance(error, QuestionError) else os.EX_CONFIG
    except BrokenChainError as error:
        sys.stderr.write(f"sessiond-audit: {error}\n")
        return EX_BROKEN
    except OSError as error:
        sys.stderr.write(f"sessiond-audit: {error.filename}: {error.strerror}\n")
        return os.EX_NOINPUT


def files_of(paths: Sequence[Path]) -> dict[Path, list[Path]]:
    """Return each log's files in the order of the chain; a live file brings its rotated ones."""
    logs: dict[Path, set[Path]] = {}
    for path in paths:
        log = live(path)
        logs.setdefault(log, set()).update([path], rotated(log) if path == log else [])
    return {log: sorted(files, key=order) for log, files in logs.items()}


def shown(log: Path, findings: Findings) -> str:
    """Return the findings as lines for people."""
    span = f", {findings.first} to {findings.last}" if findings.events else ""
    lines = [f"{log}: whole; files: {findings.files}, events: {findings.events}{span}"]
    if not findings.is_from_the_start:
        lines.append("older files are not here: nothing is said of what they held")
    lines += [_shown_hole(hole) for hole in findings.holes]
    if findings.repaired:
        lines.append(f"torn lines that were cut off at a start: {findings.repaired}")
    if findings.late:
        lines.append(f"events that came late: {findings.late}")
    if findings.repeated:
        lines.append(f"numbers used again, as by a daemon with a new store: {findings.repeated}")
    lines.append(f"last line: {findings.digest}")
    return "".join(line + "\n" for line in lines)


def _who(options: argparse.Namespace) -> int:
    logs = files_of(options.paths)
    if len(logs) > 1:
        sys.stderr.write("sessiond-audit: who is asked of one log at a time\n")
        return os.EX_USAGE
    for files in logs.values():
        sys.stdout.write(asking.answer(options, files, verify(files)))
    return os.EX_OK


def _verify(options: argparse.Namespace) -> int:
    logs, expected = files_of(options.paths), options.expect
    if expected is not None and len(logs) > 1:
        sys.stderr.write("sessiond-audit: --expect is for one log at a time\n")
        return os.EX_USAGE
    for log, files in logs.items():
        sys.stdout.write(shown(log, verify(files, expected)))
    return os.EX_OK


def _shown_hole(hole: Hole) -> str:
    told = "sessiond no longer had them" if hole.is_told else "and sessiond has not said why"
    return f"no events after {hole.after} and before {hole.before}: {told}"


def _hash(text: str) -> str:
    if not re.fullmatch("[0-9a-f]{64}", text):
        raise argparse.ArgumentTypeError("a hash is 64 hexadecimal digits")
    return text


if __name__ == "__main__":
    sys.exit(main())
