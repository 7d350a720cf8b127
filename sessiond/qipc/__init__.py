"""kdb+ IPC, bring your own I/O: bytes in, events out; values in, bytes out.

    client = ClientConnection(max_message=1 << 20)
    socket.sendall(client.greeting("alice", "secret"))
    ...  # client.receive_data(socket.recv(4096)) until client.next_event() is Accepted
    socket.sendall(client.sync(call("hello", dictionary({"name": string("rdb1")}))))
    ...  # until client.next_event() is Response; its value may be a QError
    print(mapping(response.value).keys())

A listening program holds a ServerConnection the same way: Handshake, `accept`, then Received, and
`reply` or `error` for each SYNC one. `decode` and `encode` are for values alone, and a Template for
messages that differ in a few values of one dictionary: it takes a sixth of the time. Whatever bytes
come, nothing is raised but ProtocolError; the readers (`text`, `integer`, `mapping`, ...) raise
CallError. Little-endian, not compressed, up to capability 3: what kdb+ speaks on a Unix socket. A
server may take big-endian messages too.
"""

from sessiond.core.errors import CallError, ProtocolError
from sessiond.qipc.build import (
    NULL_GUID,
    NULL_INT,
    NULL_LONG,
    NULL_SYMBOL,
    NULL_TIMESPAN,
    NULL_TIMESTAMP,
    boolean,
    call,
    dictionary,
    guid,
    int_,
    list_,
    long,
    octets,
    string,
    strings,
    symbol,
    symbols,
    table,
    timespan,
    timestamp,
)
from sessiond.qipc.connection import (
    Accepted,
    Asked,
    ClientConnection,
    Handshake,
    Push,
    Received,
    Response,
    ServerConnection,
    State,
)
from sessiond.qipc.decode import decode
from sessiond.qipc.encode import encode
from sessiond.qipc.messages import Message, MessageDecoder, MessageKind, encode_message
from sessiond.qipc.pieces import TableInPieces
from sessiond.qipc.read import (
    flag,
    guid_of,
    guids,
    integer,
    integers,
    is_ping,
    mapping,
    moment,
    octets_of,
    password,
    span,
    text,
    texts,
    typed,
    unpack_call,
)
from sessiond.qipc.template import Template
from sessiond.qipc.values import (
    NIL,
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
    count,
)
from sessiond.qipc.wire import ByteOrder

__all__ = [
    "NIL",
    "NULL_GUID",
    "NULL_INT",
    "NULL_LONG",
    "NULL_SYMBOL",
    "NULL_TIMESPAN",
    "NULL_TIMESTAMP",
    "Accepted",
    "Asked",
    "Atom",
    "ByteOrder",
    "CallError",
    "ClientConnection",
    "Dictionary",
    "Function",
    "Handshake",
    "Lambda",
    "List",
    "Message",
    "MessageDecoder",
    "MessageKind",
    "ProtocolError",
    "Push",
    "QError",
    "QType",
    "Received",
    "Response",
    "Scalar",
    "ServerConnection",
    "State",
    "Table",
    "TableInPieces",
    "Template",
    "Value",
    "Vector",
    "boolean",
    "call",
    "count",
    "decode",
    "dictionary",
    "encode",
    "encode_message",
    "flag",
    "guid",
    "guid_of",
    "guids",
    "int_",
    "integer",
    "integers",
    "is_ping",
    "list_",
    "long",
    "mapping",
    "moment",
    "octets",
    "octets_of",
    "password",
    "span",
    "string",
    "strings",
    "symbol",
    "symbols",
    "table",
    "text",
    "texts",
    "timespan",
    "timestamp",
    "typed",
    "unpack_call",
]
