"""The program that PeerFarm runs: `python -S -E peer_farm.py ADDRESS_HEX COUNT FD`.

Forks COUNT children. Each connects to the address, sends the connected socket and its pid over FD,
and lives until killed. Then reads `kill PID` lines and answers `gone PID`; at the end of its input
it kills the rest. Only the standard library, and little of it: a thousand of these must be cheap.
"""

import os
import signal
import socket
import sys


def child(address: bytes, out: socket.socket, life: int) -> None:
    """Connect, hand the socket over, live until the farm's end of `life` is closed."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        socket.send_fds(out, [os.getpid().to_bytes(4, "little")], [connection.fileno()])
    out.close()
    os.read(life, 1)


def plant(address: bytes, count: int, out: socket.socket) -> set[int]:
    """Fork the children; return their pids. The pipe's end dies with this process, as they do."""
    life, farm_end = os.pipe()
    pids = set()
    for _ in range(count):
        pid = os.fork()
        if pid == 0:
            os.close(farm_end)
            try:
                child(address, out, life)
            except OSError as error:
                sys.stderr.write(f"peer {os.getpid()}: {error}\n")
            finally:
                os._exit(0)
        pids.add(pid)
    return pids


def end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)  # until then its /proc entry stays


def main() -> None:
    address, count, number = bytes.fromhex(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    out = socket.socket(fileno=number)
    pids = plant(address, count, out)
    out.close()
    for line in sys.stdin:
        pid = int(line.split()[1])
        pids.remove(pid)
        end(pid)
        sys.stdout.write(f"gone {pid}\n")
        sys.stdout.flush()
    for pid in pids:
        end(pid)


if __name__ == "__main__":
    main()
