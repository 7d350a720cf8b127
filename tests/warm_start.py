"""Daemons started from a process that has imported the daemon already: most of a start is imports.

Each is a process of its own, forked, with its own arguments, environment, folder, output and end.
`sessiond run` itself is started where the start is what is tested (`program` of RunningDaemon),
under systemd's tools, by the bench, and wherever else it is not RunningDaemon that starts it.
"""

import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

BIGGEST = 1 << 18  # bytes of a request: arguments and environment
READY_WITHIN = 30.0  # seconds


class WarmStart:
    """The process that daemons are forked from."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, "-m", "tests.warm_start", str(theirs.fileno())]
            self._server = subprocess.Popen(
                command, pass_fds=[theirs.fileno()], stdout=subprocess.DEVNULL
            )
        self._program = [sys.executable, "-m", "sessiond"]
        self._python_path = _python_path()
        self._news = threading.Condition()
        self._begun: list[int] = []
        self._ended: dict[int, int] = {}  # statuses, as waitpid gives them, by pid
        self._turn = threading.Lock()  # one start at a time
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def close(self) -> None:
        """Fork no more."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._server.wait()
        self._listener.join()
        self._socket.close()

    def can_be(self, command: Sequence[str]) -> bool:
        """Say whether a fork is the same as the command, which may find other modules, say."""
        return list(command[:3]) == self._program and _python_path() == self._python_path

    def start(self, command: Sequence[str]) -> "WarmProcess":
        """Start `sessiond` as the command does."""
        words = command[3:]
        reading, writing = os.pipe()
        about = {"words": words, "environ": dict(os.environ), "folder": str(Path.cwd())}
        with self._turn:
            try:
                socket.send_fds(self._socket, [json.dumps(about).encode()], [writing])
            finally:
                os.close(writing)
            with self._news:
                assert self._news.wait_for(lambda: self._begun, READY_WITHIN), "none was started"
                pid = self._begun.pop()
        return WarmProcess(self, pid, reading)

    def status_of(self, pid: int, timeout: float | None) -> int | None:
        """Wait for a process to end; None: it has not in that time (None: however long)."""
        with self._news:
            self._news.wait_for(lambda: pid in self._ended, timeout)
            return self._ended.get(pid)

    def _listen(self) -> None:
        while data := self._socket.recv(BIGGEST):
            said = json.loads(data)
            with self._news:
                if "status" in said:
                    self._ended[said["pid"]] = said["status"]
                else:
                    self._begun.append(said["pid"])
                self._news.notify_all()


def _python_path() -> str | None:
    return os.environ.get("PYTHONPATH")


class WarmProcess:
    """A daemon that was forked, as far as tests use `subprocess.Popen`."""

    def __init__(self, warm: WarmStart, pid: int, output: int) -> None:
        self.pid = pid
        self.stdout: IO[str] | None = os.fdopen(output)
        self._warm = warm

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; None: it runs."""
        status = self._warm.status_of(self.pid, 0.0)
        return None if status is None else os.waitstatus_to_exitcode(status)

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended; return the exit code."""
        status = self._warm.status_of(self.pid, timeout)
        if status is None:
            raise subprocess.TimeoutExpired(f"the daemon {self.pid}", timeout or 0.0)
        return os.waitstatus_to_exitcode(status)

    def send_signal(self, number: int) -> None:
        """Send it a signal, while it runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it as kill -9 does."""
        self.send_signal(signal.SIGKILL)


def _serve(requests: socket.socket) -> dict[str, Any] | None:
    """Fork for each request; return in the child, with what it asks. None: nobody asks any more."""
    awake, waker = socket.socketpair()
    for each in (awake, waker):
        each.setblocking(False)
    signal.set_wakeup_fd(waker.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        ready, _, _ = select.select([requests, awake], [], [])
        if awake in ready:
            awake.recv(4096)
            _tell_who_ended(requests)
        if requests not in ready:
            continue
        data, descriptors, _, _ = socket.recv_fds(requests, BIGGEST, 1)
        if not data:
            return None
        (output,) = descriptors
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for each in (requests, awake, waker):
                each.close()
            return {**json.loads(data), "output": output}
        os.close(output)
        requests.send(json.dumps({"pid": pid}).encode())


def _tell_who_ended(requests: socket.socket) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        requests.send(json.dumps({"pid": pid, "status": status}).encode())


def _become(asked: dict[str, Any]) -> None:
    """Be what was asked for, as if just executed."""
    os.dup2(asked["output"], 1)
    os.dup2(asked["output"], 2)
    os.close(asked["output"])
    os.environ.clear()
    os.environ.update(asked["environ"])
    os.chdir(asked["folder"])
    sys.argv = ["sessiond", *asked["words"]]


if __name__ == "__main__":
    for module in ("sessiond.daemon.serving", "httpcore", "sessiond.cli"):
        importlib.import_module(module)
    gc.collect()
    gc.freeze()
    wanted = _serve(socket.socket(fileno=int(sys.argv[1])))
    if wanted is not None:
        _become(wanted)
        importlib.import_module("sessiond.cli").main(wanted["words"], prog_name="sessiond")
