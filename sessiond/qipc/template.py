"""Messages that carry a dictionary of the same keys each time: what never varies is encoded once.

closed = Template(MessageKind.ASYNC, {"event": symbol, "handle": int_}, function="upd")
closed.message("closed", 7)  # upd[`event`handle!(`closed;7i)], as `encode_message` gives it
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from struct import Struct, error
from typing import Any, Final
from uuid import UUID

from sessiond.qipc import build
from sessiond.qipc.encode import HEAD, encode, encode_symbol, encode_symbols
from sessiond.qipc.messages import MessageKind, framed
from sessiond.qipc.values import NIL, Dictionary, List, QType, Value
from sessiond.qipc.wire import NUMBERS, atom_code

Make = Callable[[Any], Value]  # a constructor of one argument, such as `symbol`
Put = Callable[[Any], bytes]


class Template:
    """One kind of message, of which only the values of its dictionary vary."""

    def __init__(self, kind: MessageKind, entries: Mapping[str, Make], function: str = "") -> None:
        """Encode what is the same each time.

        Args:
            kind: Of the message.
            entries: The keys, and what makes the value of each from what `message` is given.
            function: The message calls it with the dictionary. Empty: it is the dictionary alone.

        Raises:
            ValueError: One constructor makes all values: q would hold them as a vector.
        """
        if len(set(entries.values())) < 2:
            raise ValueError("a template has values of several types")
        self._kind = kind
        self._puts = [put_of(make) for make in entries.values()]
        whole = Dictionary(build.symbols(entries), List((NIL,) * len(entries)))
        payload = encode(build.call(function, whole) if function else whole)
        self._start = payload[: -len(encode(NIL)) * len(entries)]

    def message(self, *items: Any) -> bytes:
        """Return the message with these in it, one for each key, in the order of the keys.

        Raises:
            ValueError: kdb+ has no such value, or there is not one for each key.
        """
        try:
            values = [put(item) for put, item in zip(self._puts, items, strict=True)]
        except error as wrong:
            raise ValueError("a number is not in the range of its type") from wrong
        return framed(self._kind, b"".join((self._start, *values)))


def put_of(make: Make) -> Put:
    """Return what encodes the value that a constructor makes of an item."""
    return _PUTS.get(make) or (lambda item: encode(make(item)))


def _number(kind: QType) -> Put:
    code, pack = atom_code(kind), Struct(f"<B{NUMBERS[kind].format[1:]}").pack
    return lambda number: pack(code, number)


def _boolean(flag: bool) -> bytes:
    return _TRUE if flag else _FALSE


def _guid(identifier: UUID) -> bytes:
    return _GUID + identifier.int.to_bytes(16, "big")


def _symbol(text: str) -> bytes:
    return _SYMBOL + encode_symbol(text)


def _symbols(texts: Iterable[str]) -> bytes:
    items = tuple(texts)
    return HEAD.pack(QType.SYMBOL, 0, len(items)) + encode_symbols(items)


def _strings(texts: Mapping[str, str]) -> bytes:
    put = [_DICTIONARY, _symbols(texts), HEAD.pack(QType.LIST, 0, len(texts))]
    for text in texts.values():
        octets = text.encode()
        put += HEAD.pack(QType.CHAR, 0, len(octets)), octets
    return b"".join(put)


def _timestamp(moment: datetime | None) -> bytes:
    return _put_timestamp(build.since_2000(moment))


_FALSE, _TRUE = encode(build.boolean(False)), encode(build.boolean(True))
_GUID: Final = bytes([atom_code(QType.GUID)])
_SYMBOL: Final = bytes([atom_code(QType.SYMBOL)])
_DICTIONARY: Final = bytes([QType.DICTIONARY])
_put_timestamp: Final = _number(QType.TIMESTAMP)

# The ways to the same bytes without a value in between, of what is sent often.
_PUTS: Final[dict[Make, Put]] = {
    build.boolean: _boolean,
    build.guid: _guid,
    build.int_: _number(QType.INT),
    build.long: _number(QType.LONG),
    build.strings: _strings,
    build.symbol: _symbol,
    build.symbols: _symbols,
    build.timestamp: _timestamp,
}
