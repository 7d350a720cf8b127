"""A q process under test: a script, a console, and clients that log in to it."""

import base64
import itertools
import os
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Self

from sessiond.qipc import Accepted, ClientConnection, Response, Value

HOOK = Path(__file__).parents[2] / "plugins" / "torq"
ADAPTER = Path(__file__).parent / "adapter.q"
PATIENCE = 20.0  # seconds, for what takes milliseconds


class Interpreter:
    """A running q process. `evaluate` talks to its console, `login` to its port."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.port = port
        self.output: list[str] = []  # every line that it ever printed
        self._process = process
        self._numbers = itertools.count()
        self._printed = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self._clients: list[Client] = []

    @classmethod
    def start(
        cls,
        executable: str,
        folder: Path,
        script: str,
        *,
        arguments: tuple[str, ...] = (),
        environment: dict[str, str] | None = None,
    ) -> Self:
        """Start q with a script and a port of its own; return when it answers."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port: int = free.getsockname()[1]
        path = folder / f"start{port}.q"
        path.write_text(script)
        process = subprocess.Popen(
            [executable, str(path), "-q", "-p", str(port), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
            env={**os.environ, "QUDSPATH": str(folder), **(environment or {})},
        )
        interpreter = cls(process, port)
        interpreter.evaluate("1b")
        return interpreter

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        for client in self._clients:
            client.close()
        self._process.kill()
        self._process.wait()
        self._reader.join()
        if self._process.stdin and self._process.stdout:
            self._process.stdin.close()
            self._process.stdout.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def printed(self) -> str:
        return "\n".join(self.output)

    @property
    def said(self) -> str:
        """What was printed, without the console's own traffic."""
        lines = [line.removeprefix("q)") for line in self.output]
        return "\n".join(line for line in lines if not line.startswith(("#", "=", '-1"')))

    @property
    def logged(self) -> str:
        """What the hook has logged."""
        return "\n".join(line for line in self.output if " sessiond: " in line)

    def prints(self, text: str, count: int = 1) -> bool:
        """Wait until a text was printed so often. What goes to stderr may come after the answer."""
        with self._printed:
            return self._printed.wait_for(lambda: self.printed.count(text) >= count, PATIENCE)

    def run(self, line: str) -> None:
        """Run a line at the console, and wait until it is done."""
        self._ask(line)

    def evaluate(self, expression: str) -> str:
        """Return what the console shows for an expression, on one line, as `.Q.s1` does."""
        lines = self._ask(f'-1"=",.Q.s1 {expression};')
        shown = [line[1:] for line in lines if line.startswith("=")]
        if not shown:
            raise AssertionError(f"{expression}: {lines}")
        return shown[-1]

    def wait_until(self, expression: str) -> None:
        """Wait until a boolean expression is true. Each look is a turn of q's main loop."""
        latest = time.monotonic() + PATIENCE
        while self.evaluate(expression) != "1b":
            if time.monotonic() > latest:
                raise AssertionError(f"never true: {expression}\n{self.said}")

    def login(self, user: str, password: str) -> "Client | None":
        """Log in over TCP as kdb+ clients do; None when refused."""
        client = Client(self.port)
        self._clients.append(client)
        return client if client.enter(user, password) else None

    def websocket(self, user: str, password: str) -> "Client | None":
        """Log in as a browser does, with HTTP's basic authentication; None when refused."""
        client = Client(self.port)
        self._clients.append(client)
        return client if client.upgrade(user, password) else None

    def http(self, request: str, user: str, password: str, body: str = "") -> str:
        """Return what q answers to an HTTP request with basic authentication."""
        words = base64.b64encode(f"{user}:{password}".encode()).decode()
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as connection:
            connection.sendall(
                f"{request} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {words}\r\n"
                f"X-Kept: kept\r\nConnection: close\r\n".encode()
            )
            length = f"Content-Length: {len(body)}\r\n" if body else ""
            connection.sendall(f"{length}\r\n{body}".encode())
            answer = b""
            while data := connection.recv(65536):
                answer += data
        return answer.decode(errors="replace")

    def get(self, target: str, *headers: str, method: str = "GET", body: str = "") -> str:
        """Return what q answers to an HTTP request with these header lines."""
        lines = [f"{method} {target} HTTP/1.1", *headers, f"Content-Length: {len(body)}"]
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as connection:
            connection.sendall("\r\n".join([*lines, "", body]).encode())
            answer = b""
            while data := connection.recv(65536):
                answer += data
        return answer.decode(errors="replace")

    def socket(self, *headers: str) -> "Client | None":
        """Open a websocket with these header lines; None when q answers otherwise."""
        client = Client(self.port)
        self._clients.append(client)
        return client if client.shake(*headers) else None

    def _ask(self, line: str) -> list[str]:
        mark = f"#{next(self._numbers)}"
        with self._printed:
            start = len(self.output)
        assert self._process.stdin
        self._process.stdin.write(f'{line}\n-1"{mark}";\n')
        self._process.stdin.flush()
        with self._printed:
            if not self._printed.wait_for(lambda: mark in self.output[start:], PATIENCE):
                raise AssertionError(f"q does not answer: {line}\n{self.printed}")
            return self.output[start:]

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            with self._printed:
                self.output.append(line.rstrip("\n"))
                self._printed.notify_all()


class Client:
    """A user's program, which is a kdb+ client of a q process. (FakeProcess is a q process.)"""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self._connection = ClientConnection(max_message=1 << 20)

    def enter(self, user: str, password: str) -> bool:
        self._socket.sendall(self._connection.greeting(user, password))
        self._connection.receive_data(self._socket.recv(1))
        return isinstance(self._connection.next_event(), Accepted)

    def upgrade(self, user: str, password: str) -> bool:
        words = base64.b64encode(f"{user}:{password}".encode()).decode()
        return self.shake("Host: localhost", f"Authorization: Basic {words}")

    def shake(self, *headers: str) -> bool:
        """Do a websocket's opening handshake (RFC 6455, 4.1); False when it is refused."""
        own = (
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        )
        lines = ["GET / HTTP/1.1", *headers, *own, "", ""]
        self._socket.sendall("\r\n".join(lines).encode())
        return b" 101 " in self._socket.recv(4096)

    def ask(self, value: Value) -> Value | object:
        """Return what q answers to a sync message."""
        self._socket.sendall(self._connection.sync(value))
        while (event := self._connection.next_event()) is None:
            data = self._socket.recv(65536)
            if not data:
                raise AssertionError("q closed the handle")
            self._connection.receive_data(data)
        assert isinstance(event, Response)
        return event.value

    def tell(self, value: Value) -> None:
        self._socket.sendall(self._connection.async_(value))

    def is_closed(self) -> bool:
        """Wait until q closes the handle, or fail."""
        while self._socket.recv(65536):
            pass
        return True

    def close(self) -> None:
        self._socket.close()
