"""Encoding and decoding against published bytes, against each other, and against damage."""

import copy
import math
import pickle
import struct
import tracemalloc
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessiond.qipc import (
    NIL,
    Atom,
    ByteOrder,
    Dictionary,
    Function,
    Lambda,
    List,
    ProtocolError,
    QError,
    QType,
    Scalar,
    Table,
    Value,
    Vector,
    call,
    decode,
    encode,
    int_,
    long,
    string,
    symbol,
    symbols,
)
from sessiond.qipc.wire import NUMBERS
from tests.unit.qipc import strategies
from tests.unit.qipc.strategies import errors, values


def ints(*items: int, attribute: int = 0) -> Vector:
    return Vector(QType.INT, items, attribute)


ONE = UUID(int=1)
AB = Vector(QType.SYMBOL, ("a", "b"))
AB_SORTED = Vector(QType.SYMBOL, ("a", "b"), 1)
A2 = Table(("a",), (ints(2),))

# What q prints for -8!, with its header: code.kx.com/q/kb/serialization
PUBLISHED = {
    "-8!1i": ("010000000d000000fa01000000", int_(1)),
    "-8!enlist 1i": ("010000001200000006000100000001000000", ints(1)),
    "-8!`byte$til 5": (
        "01000000130000000400050000000001020304",
        Vector(QType.BYTE, bytes(range(5))),
    ),
    "-8!`byte$enlist til 5": (
        "01000000190000000000010000000400050000000001020304",
        List((Vector(QType.BYTE, bytes(range(5))),)),
    ),
    "-8!`a`b!2 3i": (
        "0100000021000000630b0002000000610062000600020000000200000003000000",
        Dictionary(AB, ints(2, 3)),
    ),
    "-8!`s#`a`b!2 3i": (
        "01000000210000007f0b0102000000610062000600020000000200000003000000",
        Dictionary(AB_SORTED, ints(2, 3), is_sorted=True),
    ),
    "-8!`a`b!enlist each 2 3i": (
        "010000002d000000630b0002000000610062000000020000000600010000000200000006000100000003000000",
        Dictionary(AB, List((ints(2), ints(3)))),
    ),
    "-8!([]a:enlist 2i;b:enlist 3i)": (
        "010000002f0000006200630b0002000000610062000000020000000600010000000200000006000100000003"
        "000000",
        Table(("a", "b"), (ints(2), ints(3))),
    ),
    "-8!`s#([]a:enlist 2i;b:enlist 3i)": (
        "010000002f0000006201630b0002000000610062000000020000000603010000000200000006000100000003"
        "000000",
        Table(("a", "b"), (ints(2, attribute=3), ints(3)), 1),
    ),
    "-8!([a:enlist 2i]b:enlist 3i)": (
        "010000003f000000636200630b00010000006100000001000000060001000000020000006200630b00010000"
        "00620000000100000006000100000003000000",
        Dictionary(A2, Table(("b",), (ints(3),))),
    ),
    "-8!`s#([a:enlist 2i]b:enlist 3i)": (
        "010000003f0000007f6201630b00010000006100000001000000060001000000020000006200630b00010000"
        "00620000000100000006000100000003000000",
        Dictionary(Table(("a",), (ints(2),), 1), Table(("b",), (ints(3),)), is_sorted=True),
    ),
    "-8!{x+y}": ("010000001500000064000a00050000007b782b797d", Lambda("", b"{x+y}")),
    "-8!.d.test": ("01000000160000006464000a00050000007b782b797d", Lambda("d", b"{x+y}")),
}

# Payloads that KX's C library was seen to put on a socket.
OBSERVED = {
    'h"1+1"': ("0a0003000000312b31", string("1+1")),
    'h"1"': ("f631", Atom(QType.CHAR, b"1")),
    'h""': ("0a0000000000", string("")),
    "h(::)": ("6500", NIL),
    "h(`f;1;2)": (
        "000003000000f56600f90100000000000000f90200000000000000",
        call("f", long(1), long(2)),
    ),
    "h(`f;`a)": ("0b000200000066006100", call("f", symbol("a"))),
    "h enlist`f": ("0b00010000006600", symbols(["f"])),
    "'type": ("807479706500", QError("type")),
}


@pytest.mark.parametrize(("wire", "value"), PUBLISHED.values(), ids=list(PUBLISHED))
def test_values_are_the_bytes_that_kx_publishes(wire: str, value: Value) -> None:
    payload = bytes.fromhex(wire)[8:]
    assert decode(payload) == value
    assert encode(value) == payload


@pytest.mark.parametrize(("payload", "value"), OBSERVED.values(), ids=list(OBSERVED))
def test_values_are_the_bytes_that_were_observed(payload: str, value: Value | QError) -> None:
    assert decode(bytes.fromhex(payload)) == value
    assert encode(value) == bytes.fromhex(payload)


@pytest.mark.parametrize(
    ("payload", "value"),
    [
        # {x+y}[1i;]: the elided argument is the primitive 255
        (
            "680300000064000a00050000007b782b797dfa0100000065ff",
            Function(
                QType.PROJECTION,
                parts=(Lambda("", b"{x+y}"), int_(1), Function(QType.UNARY, 255)),
            ),
        ),
        # +/ is `over` of the operator +
        ("6b6601", Function(QType.OVER, parts=(Function(QType.OPERATOR, 1),))),
        # neg sum, a composition
        (
            "690200000065026b6601",
            Function(
                QType.COMPOSITION,
                parts=(
                    Function(QType.UNARY, 2),
                    Function(QType.OVER, parts=(Function(QType.OPERATOR, 1),)),
                ),
            ),
        ),
        ("6704", Function(QType.ITERATOR, 4)),
    ],
)
def test_functions_are_carried_along(payload: str, value: Value) -> None:
    assert decode(bytes.fromhex(payload)) == value
    assert encode(value) == bytes.fromhex(payload)


# One item of each type: its bytes, by the widths in k.h of KxSystems/kdb
ITEMS = [
    (QType.BOOLEAN, "01", True),
    (QType.GUID, "00112233445566778899aabbccddeeff", UUID("00112233-4455-6677-8899-aabbccddeeff")),
    (QType.BYTE, "ff", 255),
    (QType.SHORT, "feff", -2),
    (QType.INT, "fdffffff", -3),
    (QType.LONG, "fcffffffffffffff", -4),
    (QType.REAL, "0000c03f", 1.5),
    (QType.FLOAT, "000000000000f83f", 1.5),
    (QType.CHAR, "78", b"x"),
    (QType.SYMBOL, "6f6b00", "ok"),
    (QType.TIMESTAMP, "0100000000000000", 1),
    (QType.MONTH, "02000000", 2),
    (QType.DATE, "03000000", 3),
    (QType.DATETIME, "000000000000f83f", 1.5),
    (QType.TIMESPAN, "0400000000000000", 4),
    (QType.MINUTE, "05000000", 5),
    (QType.SECOND, "06000000", 6),
    (QType.TIME, "07000000", 7),
]


@pytest.mark.parametrize(("kind", "item", "value"), ITEMS, ids=[kind.name for kind, _, _ in ITEMS])
def test_an_item_of_each_type_is_the_same_in_an_atom_and_in_a_vector(
    kind: QType, item: str, value: Scalar
) -> None:
    atom = bytes([256 - kind]) + bytes.fromhex(item)
    assert decode(atom) == Atom(kind, value)
    assert encode(Atom(kind, value)) == atom
    vector = struct.pack("<BBi", kind, 2, 2) + bytes.fromhex(item * 2)
    if kind is QType.BYTE:
        pair = Vector(kind, b"\xff\xff", 2)
    elif isinstance(value, bytes):
        pair = Vector(kind, value * 2, 2)
    else:
        pair = Vector(kind, (value, value), 2)
    assert decode(vector) == pair
    assert encode(pair) == vector


@pytest.mark.parametrize("kind", NUMBERS)
@given(data=st.data())
def test_a_big_endian_number_is_the_number_alone_and_in_a_vector(
    kind: QType, data: st.DataObject
) -> None:
    item, form = data.draw(strategies.ITEMS[kind]), NUMBERS[kind].format[1:]
    atom = struct.pack(f">B{form}", 256 - kind, item)
    assert decode(atom, order=ByteOrder.BIG) == Atom(kind, item)
    vector = struct.pack(f">BBI3{form}", kind, 0, 3, item, item, item)
    assert decode(vector, order=ByteOrder.BIG) == Vector(kind, (item,) * 3)


@given(value=values)
def test_every_value_comes_back_as_it_was(value: Value) -> None:
    wire = encode(value)
    again = decode(wire, max_depth=50)
    assert again == value
    assert encode(again) == wire


@given(error=errors)
def test_an_error_comes_back_as_it_was(error: QError) -> None:
    assert decode(encode(error)) == error


@pytest.mark.parametrize("kind", [QType.REAL, QType.FLOAT, QType.DATETIME])
def test_a_null_float_comes_back_as_one(kind: QType) -> None:
    for value in (Atom(kind, math.nan), Vector(kind, (math.nan, 1.0))):
        wire = encode(value)
        assert encode(decode(wire)) == wire


@given(value=values, at=st.integers(0, 400), octet=st.integers(0, 255))
def test_a_damaged_value_is_a_protocol_error_or_a_value(value: Value, at: int, octet: int) -> None:
    wire = bytearray(encode(value))
    wire[at % len(wire)] = octet
    try:
        again = decode(bytes(wire))
    except ProtocolError:
        return
    wire_again = encode(again)  # compared as bytes: a NaN equals nothing
    assert encode(decode(wire_again)) == wire_again


@given(value=values, cut=st.integers(0, 400))
def test_a_value_cut_short_is_a_protocol_error(value: Value, cut: int) -> None:
    wire = encode(value)
    with pytest.raises(ProtocolError):
        decode(wire[: cut % len(wire)], max_depth=50)


@given(value=values, tail=st.binary(min_size=1, max_size=3))
def test_bytes_after_the_value_are_a_protocol_error(value: Value, tail: bytes) -> None:
    with pytest.raises(ProtocolError, match="after the end"):
        decode(encode(value) + tail, max_depth=50)


def enlisted(times: int) -> bytes:
    return bytes.fromhex("000001000000") * times + b"\xfa\1\0\0\0"


def test_sixteen_levels_are_taken_and_seventeen_are_not() -> None:
    assert isinstance(decode(enlisted(16)), List)
    with pytest.raises(ProtocolError, match="nested too deep"):
        decode(enlisted(17))


@pytest.mark.parametrize(
    "opening",
    [
        "000001000000",
        "63",
        "7f",
        "6801000000",
        "6901000000",
        "6a",
        "70",
        "6200630b00010000006100000001000000",
    ],
)
def test_endless_nesting_is_a_protocol_error(opening: str) -> None:
    with pytest.raises(ProtocolError, match="nested too deep"):
        decode(bytes.fromhex(opening) * 100_000)


def test_a_table_costs_one_level() -> None:
    wire = encode(Table(("a",), (List((int_(1), string("x"))),)))
    assert isinstance(decode(wire, max_depth=2), Table)
    with pytest.raises(ProtocolError, match="nested too deep"):
        decode(wire, max_depth=1)


@pytest.mark.parametrize("code", [0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 19])
@pytest.mark.parametrize("claim", [2**31 - 1, 2**24])
def test_a_claimed_length_allocates_nothing(code: int, claim: int) -> None:
    payload = struct.pack("<BBi", code, 0, claim) + b"\0" * 100
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolError, match="cut short"):
            decode(payload, max_items=2**40)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100_000  # bytes


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        ("", "cut short"),
        ("ec00", "unknown type"),  # 20h: enumerations are sent as symbols
        ("1400", "unknown type"),
        ("fd00", "unknown type"),  # -3h
        ("fa010000", "cut short"),
        ("ff02", "neither 0 nor 1"),
        ("0100020000000002", "neither 0 nor 1"),
        ("f561", "no end"),
        ("0b000100000061", "no end"),
        ("060500000000", "unknown attribute"),
        ("0000ffffffff", "negative"),
        ("0600ffffffff", "negative"),
        ("68ffffffff", "negative"),
        ("000001000000800000", "unknown type"),  # an error inside a value
        ("80747970", "no end"),
        ("80740000", "after the end"),
        ("64000b000000000000", "string for its source"),
        ("6400f678", "string for its source"),
        ("63fa01000000fa01000000", "list of keys"),
        ("630b00010000006100060000000000", "list of keys"),
        ("0b0001000000610063", "after the end"),
        ("630b0001000000610065", "cut short"),
        ("630b00010000006100fa01000000", "list of keys"),
        ("63630b00000000000b0000000000" + "0b0000000000", "list of keys"),
        ("62007f0b0000000000000000000000", "dictionary of columns"),
        ("62006306000000000000000000000000", "symbols for names"),
        ("620063f5610000000000000000", "symbols for names"),
        ("6200630b00010000006100060001000000" + "01000000", "list of columns"),
        ("6200630b00010000006100000000000000", "one for each name"),
        ("6200630b0001000000610000000100000065" + "00", "one length"),
        (
            "6200630b00020000006100620000000200000006000000000006000100000001000000",
            "one length",
        ),
    ],
)
def test_damage_is_named(payload: str, problem: str) -> None:
    with pytest.raises(ProtocolError, match=problem):
        decode(bytes.fromhex(payload))


@pytest.mark.parametrize(
    ("value", "items"),
    [
        (int_(1), 40),
        (symbol("a" * 3), 40),
        (symbol("a" * 16), 40 + 4),
        (Vector(QType.INT, (1, 2)), 80 + 2),
        (Vector(QType.BOOLEAN, (True, False)), 80 + 2),
        (Vector(QType.GUID, (ONE, ONE)), 80 + 2 * 5),
        (symbols(["a", ""]), 80 + 2 * 4),
        (symbols(["a" * 7, "b" * 20]), 80 + 2 * 4 + 7),
        (Vector(QType.CHAR, b"abc"), 80),
        (List((int_(1), string("x"))), 120 + 40 + 80),
        (Dictionary(symbols(["a"]), List((NIL,))), 120 + 80 + 4 + 120 + 120),
        (Table(("a",), (symbols(["b"]),)), 240 + 4 + 80 + 4),
    ],
)
def test_the_items_of_a_value_are_bounded_in_all_by_the_time_they_take(
    value: Value, items: int
) -> None:
    assert decode(encode(value), max_items=items) == value
    with pytest.raises(ProtocolError, match="too many items"):
        decode(encode(value), max_items=items - 1)


def test_symbols_that_are_not_utf8_are_kept_exactly() -> None:
    wire = b"\xf5\xe9\xff\0"
    assert encode(decode(wire)) == wire


@given(st.lists(st.binary(max_size=9).filter(lambda octets: b"\0" not in octets), max_size=9))
def test_a_symbol_is_the_same_alone_and_among_others(octets: list[bytes]) -> None:
    wire = struct.pack("<BBi", 11, 0, len(octets)) + b"".join(each + b"\0" for each in octets)
    alone = [decode(b"\xf5" + each + b"\0") for each in octets]
    assert decode(wire) == Vector(QType.SYMBOL, tuple(each.value for each in alone))  # type: ignore[union-attr]


@given(st.lists(st.uuids(), max_size=9))
def test_a_guid_is_a_uuid_as_any_other(sent: list[UUID]) -> None:
    read = decode(encode(Vector(QType.GUID, tuple(sent))))
    assert isinstance(read, Vector)
    for one, other in zip(read.items, sent, strict=True):
        assert (one, hash(one), repr(one)) == (other, hash(other), repr(other))
        assert pickle.loads(pickle.dumps(one)) == copy.deepcopy(one) == other  # noqa: S301 - ours
        assert isinstance(one, UUID)
        assert one.is_safe is other.is_safe


def test_no_error_shows_or_carries_the_bytes_it_is_about() -> None:
    for damaged in (b"\x0a\0\x09\0\0\0hunter2", b"\xf5hunter2", b"\x64\0\xf5hunter2\0"):
        with pytest.raises(ProtocolError) as caught:
            decode(damaged)
        error: BaseException | None = caught.value
        while error is not None:
            assert "hunter2" not in repr(error) + repr(vars(error))
            error = error.__context__


@pytest.mark.parametrize(
    "value",
    [
        int_(2**31),
        long(-(2**63) - 1),
        Atom(QType.SHORT, 1.5),
        Atom(QType.REAL, 1e300),
        Atom(QType.BOOLEAN, 1),
        Atom(QType.BYTE, 256),
        Atom(QType.CHAR, b"ab"),
        Atom(QType.GUID, "0"),
        Atom(QType.TABLE, 1),
        symbol("a\0b"),
        symbols(["a", "b\0"]),
        QError("\0"),
        Vector(QType.CHAR, (1, 2)),
        Vector(QType.INT, b"12"),
        Vector(QType.INT, (1, "2")),
        Vector(QType.GUID, (1,)),
    ],
)
def test_what_kdb_has_no_value_for_is_a_value_error(value: Value | QError) -> None:
    with pytest.raises(ValueError):
        encode(value)
