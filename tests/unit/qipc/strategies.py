"""Hypothesis strategies for q values of every type."""

from uuid import UUID

from hypothesis import strategies as st

from sessiond.qipc import (
    Atom,
    Dictionary,
    Function,
    Lambda,
    List,
    QError,
    QType,
    Scalar,
    Table,
    Value,
    Vector,
)


def _ints(bits: int) -> st.SearchStrategy[int]:
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


symbol_texts = st.one_of(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8),
    st.binary(max_size=8).map(lambda b: b.replace(b"\0", b"").decode(errors="surrogateescape")),
)
_doubles = st.floats(allow_nan=False)
ITEMS: dict[QType, st.SearchStrategy[Scalar]] = {
    QType.BOOLEAN: st.booleans(),
    QType.GUID: st.binary(min_size=16, max_size=16).map(lambda b: UUID(bytes=b)),
    QType.BYTE: st.integers(0, 255),
    QType.SHORT: _ints(16),
    QType.INT: _ints(32),
    QType.LONG: _ints(64),
    QType.REAL: st.floats(allow_nan=False, width=32),
    QType.FLOAT: _doubles,
    QType.CHAR: st.binary(min_size=1, max_size=1),
    QType.SYMBOL: symbol_texts,
    QType.TIMESTAMP: _ints(64),
    QType.MONTH: _ints(32),
    QType.DATE: _ints(32),
    QType.DATETIME: _doubles,
    QType.TIMESPAN: _ints(64),
    QType.MINUTE: _ints(32),
    QType.SECOND: _ints(32),
    QType.TIME: _ints(32),
}
ATTRIBUTES = st.integers(0, 4)


def _atoms(kind: QType) -> st.SearchStrategy[Atom]:
    return st.builds(Atom, st.just(kind), ITEMS[kind])


def vectors(kind: QType, size: int | None = None) -> st.SearchStrategy[Vector]:
    """Vectors of one type, of exactly `size` items where it is given."""
    low, high = (0, 4) if size is None else (size, size)
    items: st.SearchStrategy[tuple[Scalar, ...] | bytes]
    if kind in (QType.CHAR, QType.BYTE):
        items = st.binary(min_size=low, max_size=high)
    else:
        items = st.lists(ITEMS[kind], min_size=low, max_size=high).map(tuple)
    return st.builds(Vector, st.just(kind), items, ATTRIBUTES)


kinds = st.sampled_from(sorted(ITEMS))
atoms = kinds.flatmap(_atoms)
any_vectors = kinds.flatmap(vectors)
lambdas = st.builds(Lambda, symbol_texts, st.binary(max_size=12))
primitives = st.builds(
    Function,
    st.sampled_from([QType.UNARY, QType.OPERATOR, QType.ITERATOR]),
    st.integers(0, 255),
)


def _functions(of: st.SearchStrategy[Value]) -> st.SearchStrategy[Function]:
    parts = st.lists(of, max_size=3).map(tuple)
    compound = st.sampled_from([QType.PROJECTION, QType.COMPOSITION])
    derived = st.sampled_from([QType(code) for code in range(106, 113)])
    return st.one_of(
        st.builds(Function, compound, parts=parts),
        st.builds(Function, derived, parts=st.tuples(of)),
    )


@st.composite
def _columns(draw: st.DrawFn, size: int) -> Table:
    names = draw(st.lists(symbol_texts, max_size=3))
    columns = [draw(draw(kinds.map(lambda kind: vectors(kind, size)))) for _ in names]
    return Table(tuple(names), tuple(columns), draw(ATTRIBUTES))


@st.composite
def _dictionaries(draw: st.DrawFn, of: st.SearchStrategy[Value]) -> Dictionary:
    values = tuple(draw(st.lists(of, max_size=3)))
    keys = draw(kinds.flatmap(lambda kind: vectors(kind, len(values))))
    return Dictionary(keys, List(values, draw(ATTRIBUTES)), draw(st.booleans()))


@st.composite
def _keyed_tables(draw: st.DrawFn) -> Dictionary:
    size = draw(st.integers(0, 3))
    keys, values = draw(_columns(size)), draw(_columns(size))
    if bool(keys.columns) != bool(values.columns):  # no columns: no rows either
        keys = values
    return Dictionary(keys, values, draw(st.booleans()))


leaves: st.SearchStrategy[Value] = st.one_of(atoms, any_vectors, lambdas, primitives)


def _nested(of: st.SearchStrategy[Value]) -> st.SearchStrategy[Value]:
    lists = st.builds(List, st.lists(of, max_size=4).map(tuple), ATTRIBUTES)
    tables = st.integers(0, 3).flatmap(_columns)
    return st.one_of(lists, _dictionaries(of), tables, _keyed_tables(), _functions(of))


values: st.SearchStrategy[Value] = st.recursive(leaves, _nested, max_leaves=6)
errors = st.builds(QError, symbol_texts)
