"""One chaos run, from its seed to its verdict."""

import tempfile
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.chaos import evidence
from tests.chaos.checker import violations
from tests.chaos.driver import Driver
from tests.chaos.leaks import leaks
from tests.chaos.stage import Stage

SHOWN = 50  # acknowledgements, where something is wrong
ACKNOWLEDGEMENTS = (
    *("login", "refused", "opened", "left", "renewed", "renewal-refused", "push"),
    *("let-in", "child", "ticket", "source-token"),
    *("store-read", "store-locked", "store-written", "store-released"),
    *("reconciled", "sees", "operator-revoked", "user-revoked", "user-disabled"),
)
FIGURES = {
    "daemons killed": "daemon-killed",
    "q processes killed": "process-killed",
    "issuers killed": "issuer-killed",
    "daemons stopped": "daemon-stopped",
    "logins": "login",
    "opened": "opened",
    "let in over HTTP": "let-in",
    "signed out or left": "leaving",
    "not begun": "not-begun",
    "turned away": "turned-away",
    "sign-ins refused": "sign-in-refused",
    "websockets": "child",
    "left": "left",
    "tickets": "ticket",
    "tickets refused": "ticket-refused",
    "tickets not taken": "ticket-not-taken",
    "source tokens": "source-token",
    "source tokens refused": "source-refused",
    "refresh tokens of sources spent": "refresh-came",
    "store reads": "store-read",
    "locks": "store-locked",
    "writes": "store-written",
    "writes refused": "store-unwritten",
    "programs killed": "store-client-killed",
    "renewed": "renewed",
    "logins refused": "refused",
    "users revoked": "user-revoked",
    "users disabled": "user-disabled",
    "revoked by the operator": "operator-revoked",
    "faults": "fault",
}


@dataclass(frozen=True)
class Outcome:
    seed: int
    figures: Counter[str]
    violations: list[str]
    last: list[str]  # acknowledgements

    def __str__(self) -> str:
        figures = ", ".join(f"{name} {number}" for name, number in self.figures.items())
        lines = [f"seed {self.seed}: {figures}, violations {len(self.violations)}"]
        if self.violations:
            lines += [*self.violations, f"the last of seed {self.seed}:", *self.last]
        return "\n".join(lines)


def run(seed: int, seconds: float, folder: Path | None = None) -> Outcome:
    """Let chaos reign for so long and judge it.

    Args:
        seed: Decides what is done.
        seconds: How long; starting and judging come on top.
        folder: Where to leave the evidence; its path must be short. None: nowhere.
    """
    with ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sd-")))
        stage, is_done = Stage(folder, seed), False
        try:
            Driver(stage, seed).drive(seconds)
            is_done = True
        finally:
            stage.close()
            if not is_done:
                print(f"seed {seed} broke off:", *stage.daemon.lines[-SHOWN:])
                print(*acknowledged(evidence.read(folder)), sep="\n")
        return _judged(seed, folder, stage)


def acknowledged(found: evidence.Evidence) -> list[str]:
    """Return the last things that the driver was told."""
    return [str(entry) for entry in found.of(*ACKNOWLEDGEMENTS)][-SHOWN:]


def _judged(seed: int, folder: Path, stage: Stage) -> Outcome:
    found = evidence.read(folder)
    (folder / "daemon.log").write_text("".join(stage.daemon.lines))
    wrong = violations(found)
    written = [folder / "daemon.log", *folder.glob("*.db"), *folder.glob("*.db-wal")]
    wrong += [f"leaks: a token stands in {file}" for file in leaks(stage.secrets, written)]
    if any("Traceback" in line for line in stage.daemon.lines):
        wrong.append("the daemon's log has a traceback")
    kinds = Counter(entry["kind"] for entry in found.entries)
    kinds.update(entry["event"] for entry in found.of("push"))
    figures = Counter({name: kinds[kind] for name, kind in FIGURES.items()})
    for event in ("refreshed", "revoked", "expired", "roles"):
        figures[f"{event} pushes"] = kinds[event]
    figures["logins by ticket"] = sum("jti" in entry for entry in found.of("login"))
    figures["events"] = len(found.snapshots[-1].events)
    return Outcome(seed, figures, wrong, acknowledged(found))
