"""The daemon as systemd starts it: sockets passed, told of by notices, given credentials."""

import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.integration.operating import control_of
from tests.running_daemon import DAEMON, READY_WITHIN, DaemonError, RunningDaemon

PATIENCE = 20.0  # seconds that a test waits for a notice before it fails


class Notices:
    """$NOTIFY_SOCKET, at the end where systemd listens."""

    def __init__(self, folder: Path) -> None:
        self.address = str(folder / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)

    def close(self) -> None:
        self._socket.close()

    def until(self, state: str) -> list[str]:
        """Wait for a notice with this state, and return it."""
        self._socket.settimeout(PATIENCE)
        while state not in (states := self._socket.recv(4096).decode().split("\n")):
            pass
        return states

    def drain(self) -> None:
        """Forget those that have come."""
        self._socket.setblocking(False)
        try:
            while self._socket.recv(4096):
                pass
        except BlockingIOError:
            pass

    def is_silent(self, seconds: float) -> bool:
        """Say whether for so long no notice comes."""
        self._socket.settimeout(seconds)
        try:
            self._socket.recv(4096)
        except TimeoutError:
            return True
        return False


class ActivatedDaemon(RunningDaemon):
    """A daemon that systemd-socket-activate has become, with the first connection to a socket."""

    def __init__(
        self,
        folder: Path,
        configuration: str,
        *,
        program: Sequence[str] = DAEMON,
        credentials: Mapping[str, str] | None = None,
        watchdog: float = 2.0,  # seconds
        also: Sequence[str] = (),  # addresses more to be passed
    ) -> None:
        self._watchdog = watchdog
        self._also = also
        self._credentials = folder / "credentials"
        self._credentials.mkdir()
        for name, text in (credentials or {}).items():
            (self._credentials / name).write_text(text)
            (self._credentials / name).chmod(0o400)
        self.notices = Notices(folder)
        super().__init__(folder, configuration, program=program)

    def __exit__(self, *arguments: object) -> None:
        super().__exit__(*arguments)
        self.notices.close()

    @property
    def command(self) -> list[str]:
        environ = {
            "NOTIFY_SOCKET": self.notices.address,
            "CREDENTIALS_DIRECTORY": str(self._credentials),
            "WATCHDOG_USEC": str(int(self._watchdog * 1e6)),
        }
        return [
            "systemd-socket-activate",
            *(f"--listen={each}" for each in self._addresses),
            f"--fdname={':'.join(self._names)}",
            *(f"--setenv={name}={value}" for name, value in environ.items()),
            *super().command,
        ]

    def start(self) -> None:
        """Start it by a connection, and wait until it is ready."""
        self._begin()
        with self._news:
            everywhere = len(self._addresses)
            assert self._news.wait_for(lambda: self._listening == everywhere, READY_WITHIN)
        with socket.socket(socket.AF_UNIX) as first:
            first.connect(self.address)
            try:
                self._wait_until_ready()
            except DaemonError:
                self.notices.close()
                raise

    @property
    def _addresses(self) -> list[str]:
        own = [self.address.decode().replace("\0", "@"), self.path, control_of(self)]
        return [*own, *self._also]

    @property
    def _names(self) -> list[str]:
        return ["abstract", "path", "control", *(f"also{i}" for i, _ in enumerate(self._also))]

    @property
    def _listening(self) -> int:
        return sum(line.startswith("Listening on ") for line in self.lines)

    def is_stopped(self) -> bool:
        """Say whether each of its threads is stopped."""
        tasks = Path(f"/proc/{self.pid}/task")
        return all(
            (each / "stat").read_text().rpartition(")")[2].split()[0] == "T"
            for each in tasks.iterdir()
        )
