"""Logs in with PyKX, waits to be told to go on, and prints what comes of two queries and a login.

Arguments: the port. Standard input: the password, and a line when the connection was closed.
"""

import sys

import pykx


def told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


port, password = int(sys.argv[1]), sys.stdin.readline().strip()
q = pykx.SyncQConnection("127.0.0.1", port, username="alice", password=password, no_ctx=True)
print("in", flush=True)
sys.stdin.readline()
for _ in range(2):
    try:
        q("trade")
    except RuntimeError as error:
        print(told(error))
try:
    pykx.SyncQConnection("127.0.0.1", port, username="alice", password=password, no_ctx=True)
except pykx.exceptions.PyKXException as error:
    print(told(error))
