"""A datagram to journald, read as journald reads it."""

from collections.abc import Iterator


def fields_of(line: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the fields of a datagram, as journald reads it."""
    while line:
        head, _, rest = line.partition(b"\n")
        name, is_plain, value = head.partition(b"=")
        if is_plain:
            yield name.decode(), value
            line = rest
        else:
            size = int.from_bytes(rest[:8], "little")
            yield name.decode(), rest[8 : 8 + size]
            line = rest[8 + size + 1 :]
