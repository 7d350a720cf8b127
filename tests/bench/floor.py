"""The floor: what a login costs at the least, in Python on this machine: `-m tests.bench.floor`.

One asyncio.Protocol a connection, on uvloop. Each request brings a token: its RS256 signature is
checked on the loop, then one row, of about the size of a session's, is committed to SQLite with
synchronous=FULL, then the answer goes out. The commit is a thread's, as it must be where others are
served meanwhile: the loop hands the rows over, and what waits is written in one transaction. No
claim is read, no rule is asked, nothing is remembered.

The frame is kdb+'s: eight bytes with the size in the last four, then two bytes with the length of
the token, the token, and nothing to the end: a request has the size of the daemon's `connect`.
"""

import asyncio
import base64
import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from queue import SimpleQueue
from typing import Final, Self, cast

import uvloop
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

HEADER: Final = 8  # bytes
ROW: Final = bytes(300)  # a session's
ANSWER: Final = b"\x01\x02\x00\x00" + (200).to_bytes(4, "little") + bytes(192)  # a response
SCHEMA: Final = "CREATE TABLE rows (id BLOB PRIMARY KEY, body BLOB NOT NULL) STRICT, WITHOUT ROWID"


def request(token: str, size: int) -> bytes:
    """Return the request with this token, of at least this size in bytes."""
    content = len(token).to_bytes(2, "little") + token.encode()
    size = max(size, HEADER + len(content))
    head = b"\x01\x01\x00\x00" + size.to_bytes(4, "little")
    return (head + content).ljust(size, b"\0")


class Floor:
    """The floor in a process of its own, until the block ends."""

    def __init__(self, folder: Path, pem: Path) -> None:
        """Start it on a new database in `folder`; `pem` is the key that signs the tokens."""
        self.address = f"{folder}/floor".encode()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.floor", folder, pem], stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        self._process.stdout.readline()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    @property
    def pid(self) -> int:
        return self._process.pid


class Writer(threading.Thread):
    """Commits what waits, in one transaction, and says so on the loop."""

    def __init__(self, database: Path, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(daemon=True)
        self._database = database
        self._loop = loop
        self._waiting: list[Connection] = []
        self._batches: SimpleQueue[list[Connection]] = SimpleQueue()
        self._is_busy = False
        self.start()

    def write(self, connection: "Connection") -> None:
        """Have a row written for it; on the loop."""
        self._waiting.append(connection)
        if not self._is_busy:
            self._is_busy = True
            self._loop.call_soon(self._hand_over)  # with all that this turn of the loop reads

    def _hand_over(self) -> None:
        batch, self._waiting = self._waiting, []
        self._is_busy = bool(batch)
        if batch:
            self._batches.put(batch)

    def run(self) -> None:
        database = sqlite3.connect(self._database, isolation_level=None)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute(SCHEMA)
        while batch := self._batches.get():
            database.execute("BEGIN IMMEDIATE")
            rows = [(os.urandom(16), ROW) for _ in batch]
            database.executemany("INSERT INTO rows VALUES (?, ?)", rows)
            database.execute("COMMIT")
            self._loop.call_soon_threadsafe(self._written, batch)

    def _written(self, batch: "list[Connection]") -> None:
        for connection in batch:
            connection.answer()
        self._hand_over()


class Connection(asyncio.Protocol):
    """One of those who log in."""

    def __init__(self, key: RSAPublicKey, writer: Writer) -> None:
        self._key = key
        self._writer = writer
        self._received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are no subclasses

    def data_received(self, data: bytes) -> None:
        self._received += data
        while len(self._received) >= HEADER:
            size = int.from_bytes(self._received[4:HEADER], "little")
            if len(self._received) < size:
                return
            length = int.from_bytes(self._received[8:10], "little")
            self._verify(bytes(self._received[10 : 10 + length]))
            del self._received[:size]
            self._writer.write(self)

    def answer(self) -> None:
        """Say that the row is on disk."""
        self._transport.write(ANSWER)

    def _verify(self, token: bytes) -> None:
        """Raise InvalidSignature unless the token's is good."""
        signed, _, encoded = token.rpartition(b".")
        signature = base64.urlsafe_b64decode(encoded + b"==")
        self._key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())


async def serve(folder: Path, pem: Path) -> None:
    """Serve until killed; print a line once ready."""
    key = load_pem_public_key(pem.read_bytes())
    assert isinstance(key, RSAPublicKey)
    loop = asyncio.get_running_loop()
    writer = Writer(folder / "floor.db", loop)
    server = await loop.create_unix_server(
        lambda: Connection(key, writer), folder / "floor", backlog=1000
    )
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1]), Path(sys.argv[2])))
