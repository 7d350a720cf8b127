"""A table as a message, encoded some rows at a time: for what is too much to be done at once."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from sessiond.qipc import build
from sessiond.qipc.encode import HEAD, encode, encode_symbol
from sessiond.qipc.messages import HEADER, LITTLE_ENDIAN, MessageKind
from sessiond.qipc.template import Make, put_of
from sessiond.qipc.values import QType


class TableInPieces:
    """A table that grows by rows, as the bytes that its columns are."""

    def __init__(self, columns: Mapping[str, Make]) -> None:
        """Begin with no row.

        Args:
            columns: What makes the value of each from what `add` is given. `symbol` makes a column
                of symbols; any other is a general list, and its values are to be lists or
                dictionaries.
        """
        self._names = tuple(columns)
        self._types = [
            QType.SYMBOL if make is build.symbol else QType.LIST for make in columns.values()
        ]
        self._puts = [
            encode_symbol if make is build.symbol else put_of(make) for make in columns.values()
        ]
        self._columns: list[list[bytes]] = [[] for _ in columns]
        self._count = 0

    def add(self, rows: Iterable[Sequence[Any]]) -> None:
        """Encode more rows, each with an item for each column.

        Raises:
            ValueError: kdb+ has no such value.
        """
        added = [*rows]
        if not added:
            return
        by_column = zip(*added, strict=True)
        for column, put, items in zip(self._columns, self._puts, by_column, strict=True):
            column.append(b"".join(map(put, items)))
        self._count += len(added)

    def parts(self, kind: MessageKind) -> Iterator[bytes]:
        """Yield the parts that make the whole table as a message."""
        heads = [HEAD.pack(each, 0, self._count) for each in self._types]
        begin = bytes([QType.TABLE, 0, QType.DICTIONARY]) + encode(build.symbols(self._names))
        begin += HEAD.pack(QType.LIST, 0, len(heads))
        columns = chain.from_iterable(self._columns)
        size = HEADER.size + len(begin) + sum(map(len, heads)) + sum(map(len, columns))
        yield HEADER.pack(LITTLE_ENDIAN, kind, 0, 0, size) + begin
        for head, column in zip(heads, self._columns, strict=True):
            yield head
            yield from column
