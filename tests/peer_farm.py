"""The program that PeerFarm runs: `python -S -E peer_farm.py ADDRESS_HEX COUNT FD`.

Forks COUNT children and prints their pids. At a line `connect PID` that child connects to the
address and sends its pid and the connected socket over FD, or its pid alone when nobody listens;
`kill PID` is answered `gone PID`. At the end of its input it kills the rest. Only the standard
library, and little of it: a thousand of these must be cheap.
"""

import os
import signal
import socket
import sys


def child(address: bytes, out: socket.socket, orders: int) -> None:
    """Connect at each order, and hand the socket over; live until the farm has gone."""
    pid = os.getpid().to_bytes(4, "little")
    while os.read(orders, 1):
        with socket.socket(socket.AF_UNIX) as connection:
            try:
                connection.connect(address)
            except OSError:
                out.send(pid)
            else:
                socket.send_fds(out, [pid], [connection.fileno()])


def plant(address: bytes, count: int, out: socket.socket) -> dict[int, int]:
    """Fork the children; return what each is ordered by. The pipes end with this process."""
    orders: dict[int, int] = {}
    for _ in range(count):
        theirs, ours = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.close(ours)
                for each in orders.values():
                    os.close(each)
                child(address, out, theirs)
            finally:
                os._exit(0)
        os.close(theirs)
        orders[pid] = ours
    return orders


def end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)  # until then its /proc entry stays


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    address, count, number = bytes.fromhex(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    out = socket.socket(fileno=number)
    orders = plant(address, count, out)
    out.close()
    say(" ".join(map(str, orders)))
    for line in sys.stdin:
        word, pid = line.split()[0], int(line.split()[1])
        if word == "connect":
            os.write(orders[pid], b"c")
        else:
            os.close(orders.pop(pid))
            end(pid)
            say(f"gone {pid}")
    for pid in orders:
        end(pid)


if __name__ == "__main__":
    main()
