"""The program that each q process of a chaos run is: `python -S -E peer.py ADDRESS_HEX FD`.

At each line of input it connects to the address and sends the connected socket over FD, or nothing
but an X when nobody listens. So all connections of one process have one pid, which dies by kill -9.
"""

import socket
import sys


def main() -> None:
    address = bytes.fromhex(sys.argv[1])
    out = socket.socket(fileno=int(sys.argv[2]))
    for _ in sys.stdin:
        with socket.socket(socket.AF_UNIX) as connection:
            try:
                connection.connect(address)
            except OSError:
                out.send(b"X")
            else:
                socket.send_fds(out, [b"S"], [connection.fileno()])


if __name__ == "__main__":
    main()
