"""The jar for CData's drivers, and a driver for it: Java, compiled for the tests, without Maven."""

import os
import pwd
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.running_daemon import RunningDaemon

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "plugins/cdata-tokenstore"
DRIVER = Path(__file__).parent / "cdata"
FACTORY = "sessiond.cdata.TokenStoreFactory"
CONTEXT = "externalToken://team/warehouse"


@dataclass(frozen=True, slots=True)
class Classes:
    """What Java is to find: the plugin, and the driver, which was compiled without it."""

    plugin: Path
    driver: Path

    @classmethod
    def compiled(cls, folder: Path) -> Self:
        """Compile both into a folder."""
        classes = cls(folder / "plugin", folder / "driver")
        _compile(PLUGIN / "src/main/java", classes.plugin)
        _compile(DRIVER, classes.driver)
        return classes

    def command(self, program: str, *arguments: str) -> list[str]:
        """Return what runs a program of the driver's on the plugin."""
        # As little of the two cores as will do: the figures are not what is tested.
        light = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"]
        path = f"{self.plugin}:{self.driver}"
        return ["java", *light, "-cp", path, program, FACTORY, *arguments]


def _compile(sources: Path, classes: Path) -> None:
    files = [str(each) for each in sources.rglob("*.java")]
    subprocess.run(["javac", "--release", "17", "-d", str(classes), *files], check=True)


def surroundings(daemon: RunningDaemon) -> dict[str, str]:
    """Return the environment in which the plugin finds the daemon."""
    return {**os.environ, "SESSIOND_CONTROL": f"{daemon.folder}/c"}


class Store:
    """A store in a process of its own, told by the line what to do."""

    def __init__(
        self,
        classes: Classes,
        daemon: RunningDaemon,
        context: str = CONTEXT,
        *,
        user: str | None = None,
    ) -> None:
        """Start it, as somebody else where `user` says so."""
        self.process = subprocess.Popen(
            classes.command("Commands", context),
            env=surroundings(daemon),
            user=user,
            group=user and pwd.getpwnam(user).pw_gid,
            extra_groups=user and [],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # the log of the plugin: the answers say it, too
            text=True,
            encoding="utf-8",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def ask(self, command: str) -> None:
        """Have it begin; the answer is to be fetched."""
        assert self.process.stdin is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def answer(self) -> str:
        """Wait for what came of the command before."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def do(self, command: str) -> str:
        self.ask(command)
        return self.answer()


@dataclass(frozen=True, slots=True)
class Served:
    """What one program of a driver says at its end."""

    failures: int  # of its stores, each of which it met by making the request anew
    median: int  # microseconds of a read


class Driver:
    """A program with several connections of a driver, each in a thread that makes requests."""

    def __init__(
        self,
        classes: Classes,
        daemon: RunningDaemon,
        issuer: int,
        *,
        threads: int = 8,
        requests: int,
        max_wait: int,
    ) -> None:
        """Start it.

        Args:
            classes: What it is made of.
            daemon: Whose stores it uses.
            issuer: The port of the test's issuer.
            threads: How many connections it has.
            requests: How many each of them makes.
            max_wait: Milliseconds, for locks.
        """
        numbers = (issuer, threads, requests, max_wait)
        self.process = subprocess.Popen(
            classes.command("Driver", CONTEXT, *map(str, numbers)),
            env=surroundings(daemon),
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def served(self) -> Served:
        """Wait until every request has been made."""
        printed, _ = self.process.communicate()
        found = re.fullmatch(r"done (\d+) (\d+)\n", printed)
        assert found, printed
        return Served(int(found[1]), int(found[2]))
