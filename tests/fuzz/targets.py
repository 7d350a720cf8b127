"""One function for each thing that strangers send.

Each returns whether the input was taken. The exceptions it lets pass are those it catches; any
other is a finding, and so is an input that is taken and should not be.
"""

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

import httpx

from sessiond.api import Verifier
from sessiond.config import read
from sessiond.core.claims import ClaimRules, verdict_of
from sessiond.core.errors import (
    CallError,
    ConfigError,
    IssuerUnavailable,
    ProtocolError,
    TokenRejected,
)
from sessiond.core.jsontext import read_object
from sessiond.core.password import is_ticket, read_password, read_ticket, stated_claims
from sessiond.core.principal import is_name
from sessiond.core.secret import Secret
from sessiond.core.verdict import Verdict
from sessiond.issuers.client import Client
from sessiond.issuers.introspection import IntrospectionVerifier
from sessiond.issuers.userinfo import UserinfoVerifier
from sessiond.jwt.access import TokenRules, read_access_token
from sessiond.jwt.header import ALGORITHMS
from sessiond.jwt.keyset import KeySet, UnknownKeyError
from sessiond.kdb.calls import read_call
from sessiond.qipc import (
    NIL,
    Handshake,
    MessageKind,
    QError,
    Received,
    ServerConnection,
    State,
    decode,
    encode,
    is_ping,
)
from sessiond.tickets.exchange_request import ExchangeRefused, read_request
from sessiond.tickets.reading import PresentedAt, TicketReading
from sessiond.tickets.settings import TicketSettings
from tests.fuzz import control, seeds
from tests.fuzz.control import fuzz_control
from tests.unit.issuers.fake import HandClock, IssuerStub
from tests.unit.jwt.forge import ISSUER, NOW

MAX_MESSAGE = 4096  # bytes
# An error's words are our own, with what was seen in them, cut short and without anything odd.
_PLAIN = re.compile(r"[ -~]{1,2000}")
OPAQUE = Secret("opaque-access-token-of-alice")
KEYS = KeySet.parse({"keys": [seeds.PUBLISHED]})
TICKET_KEYS = {seeds.KID: seeds.PUBLIC}
TICKET_SETTINGS = TicketSettings(issuer=seeds.TICKET_ISSUER, host="host1")
TICKET_AT = PresentedAt(process="rdb1", typed="alice", now=NOW)
TOKEN_RULES = TokenRules(
    issuers=frozenset({ISSUER}),
    audience=frozenset({"api://kdb"}),
    algorithms=ALGORITHMS,
    types=frozenset({"at+jwt"}),
)
SIGNERS = TOKEN_RULES.signers(KEYS)
CLAIM_RULES = ClaimRules(
    issuer="corp",
    user_claim="preferred_username",
    subject_claim="sub",
    lease=timedelta(hours=1),
    roles_claim=("roles", "scope"),
    roles={"kdb.read": "reader"},
    attributes={"desk": "desk"},
)


def fuzz_qipc_value(data: bytes) -> bool:
    """Read a payload, and write what was read so that it is read as the same."""
    try:
        value = decode(data)
    except ProtocolError:
        return False
    written = encode(value)
    assert encode(decode(written)) == written
    return True


def fuzz_qipc_connection(data: bytes) -> bool:
    """Hold a connection: its first byte says in how large pieces the rest arrives."""
    pieces, stream = data[:1], data[1:]
    whole = list(_events(stream, len(stream)))
    assert list(_events(stream, ord(pieces or b"\1"))) == whole
    return bool(whole) and whole[-1] != "broken"


def _events(stream: bytes, size: int) -> Iterator[object]:
    connection = ServerConnection(max_message=MAX_MESSAGE, any_order=True)
    for at in range(0, len(stream), max(size, 1)):
        connection.receive_data(stream[at : at + max(size, 1)])
        try:
            while (event := connection.next_event()) is not None:
                yield _taken(connection, event)
        except ProtocolError:
            assert connection.state is State.BROKEN
            yield "broken"
            return


def _taken(connection: ServerConnection, event: Handshake | Received) -> object:
    """Answer an event as a server does, and return it in a form that can be compared."""
    if isinstance(event, Handshake):
        return event.user, event.password.reveal(), event.capability, connection.accept()
    if event.kind is MessageKind.SYNC:
        assert connection.reply(NIL)
    return event.kind, encode(event.value)


def fuzz_call(data: bytes) -> bool:
    """Read the call in a payload."""
    try:
        value = decode(data)
        if isinstance(value, QError) or is_ping(value):
            return False
        read_call(value)
    except ProtocolError:
        return False
    except CallError as error:
        return _refused(str(error))
    return True


def fuzz_password(data: bytes) -> bool:
    """Decide whether a password is a token."""
    text = data.decode(errors="surrogateescape")
    try:
        presented = read_password(text)
    except TokenRejected as rejected:
        return _refused(str(rejected), rejected.__context__)
    assert presented.access.reveal() in text
    assert presented.is_jwt or presented.stated_issuer is None
    stated_claims(presented.access)
    return True


def fuzz_access_token(data: bytes) -> bool:
    """Check a signed token. Only ours can be taken."""
    token = data.decode("latin-1")
    try:
        read_access_token(Secret(token), SIGNERS, TOKEN_RULES, now=NOW)
    except (TokenRejected, UnknownKeyError) as rejected:
        return _refused(str(rejected), hidden=token)
    assert data in seeds.TOKENS
    return True


def fuzz_signed_token(data: bytes) -> bool:
    """Read the header and the claims, a line each, of a token whose signature holds."""
    header, _, payload = data.partition(b"\n")
    token = Secret(seeds.signed(header, payload))
    try:
        read_token = read_access_token(token, SIGNERS, TOKEN_RULES, now=NOW)
        verdict = verdict_of(read_token.claims, CLAIM_RULES, times=read_token.times, now=NOW)
    except (TokenRejected, UnknownKeyError) as rejected:
        return _refused(str(rejected))
    _must_be_sound(verdict)
    return True


def fuzz_ticket(data: bytes) -> bool:
    """Check a ticket, as a password. Only ours can be taken."""
    text = data.decode("latin-1")
    if not is_ticket(text):
        return False
    try:
        TicketReading(read_ticket(text), TICKET_SETTINGS, TICKET_KEYS, TICKET_AT).read()
    except TokenRejected as rejected:
        return _refused(str(rejected), hidden=text)
    assert data in seeds.TICKETS
    return True


def fuzz_signed_ticket(data: bytes) -> bool:
    """Read the header and the claims, a line each, of a ticket whose signature holds."""
    header, _, payload = data.partition(b"\n")
    try:
        ticket = read_ticket(f"ticket:{seeds.signed(header, payload)}")
        claims = TicketReading(ticket, TICKET_SETTINGS, TICKET_KEYS, TICKET_AT).read()
    except TokenRejected as rejected:
        return _refused(str(rejected))
    assert claims.exp > NOW.timestamp()
    assert (claims.sid is None) is not (claims.verdict is None)
    assert is_name(claims.name)
    return True


def fuzz_exchange(data: bytes) -> bool:
    """Read what a program asks a ticket with."""
    try:
        asked = read_request(data)
    except ExchangeRefused as refused:
        return _refused(refused.description)
    assert asked.audience.isprintable()
    return True


def fuzz_key_set(data: bytes) -> bool:
    """Read a JWK Set, and check a token of each algorithm with whatever keys it has."""
    document = read_object(data)
    if document is None:
        return False
    try:
        keys = KeySet.parse(document)
    except IssuerUnavailable:
        return False
    for key in keys.keys:
        assert key.algorithms <= ALGORITHMS
        for algorithm in key.algorithms:
            header = {**seeds.HEADER, "alg": algorithm, "kid": key.kid}
            named = {name: value for name, value in header.items() if value is not None}
            fuzz_token = seeds.signed(seeds.compact(named), b"{}")
            try:
                read_access_token(
                    Secret(fuzz_token), TOKEN_RULES.signers(keys), TOKEN_RULES, now=NOW
                )
            except (TokenRejected, UnknownKeyError):
                continue
            raise AssertionError("a token without claims was accepted")
    return True


def fuzz_introspection(data: bytes) -> bool:
    """Read an introspection endpoint's answer: a status, a header, and the body, a line each."""
    return _ASKED.outcome(_ASKED.introspection, data)


def fuzz_userinfo(data: bytes) -> bool:
    """Read a userinfo endpoint's answer, made as for `fuzz_introspection`."""
    return _ASKED.outcome(_ASKED.userinfo, data)


def fuzz_configuration(data: bytes) -> bool:
    """Read a configuration file."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return False
    try:
        read(text)
    except ConfigError:
        return False
    return True


def _refused(words: str, context: object = None, *, hidden: str = "") -> bool:
    """Return False, once it is sure that a refusal shows nothing of what was refused."""
    assert context is None
    assert len(hidden) < 30 or hidden not in words
    assert _PLAIN.fullmatch(words), words
    return False


def _must_be_sound(verdict: Verdict) -> None:
    assert is_name(verdict.principal.name)
    assert is_name(verdict.principal.subject)
    assert verdict.lease.expires_at > NOW
    assert set(verdict.roles) <= {"reader"}
    assert all(text.isprintable() for text in verdict.attributes.values())


class _Asked:
    """Verifiers that ask an issuer in memory, on an event loop of their own."""

    def __init__(self) -> None:
        clock = HandClock()
        self._issuer = IssuerStub(clock)
        self._issuer.publishes()
        http = self._issuer.http()
        discovery = self._issuer.discovery(http)
        leeway = timedelta(seconds=30)
        self.introspection = IntrospectionVerifier(
            http=http,
            discovery=discovery,
            client=Client(client_id="sessiond", method="none", secret=None, clock=clock),
            rules=CLAIM_RULES,
            issuers=[ISSUER],
            audience=["api://kdb"],
            required_scope="openid",
            leeway=leeway,
        )
        self.userinfo = UserinfoVerifier(
            http=http, discovery=discovery, rules=CLAIM_RULES, leeway=leeway
        )
        self._runner: asyncio.Runner | None = None

    def outcome(self, verifier: Verifier, data: bytes) -> bool:
        if self._runner is None:
            self._runner = asyncio.Runner()
        self._issuer.requests.clear()
        for path in ("/introspect", "/userinfo"):
            self._issuer.on(path, lambda _: _response(data))
        try:
            verdict = self._runner.run(verifier.verify(OPAQUE, now=NOW))
        except (TokenRejected, IssuerUnavailable) as error:
            return _refused(str(error))
        _must_be_sound(verdict)
        return True

    def close(self) -> None:
        if self._runner is not None:
            self._runner.close()
            self._runner = None


def _response(data: bytes) -> httpx.Response:
    status, _, rest = data.partition(b"\n")
    header, _, body = rest.partition(b"\n")
    digits = bytes(status[:3])
    code = int(digits) if digits.isdigit() and len(digits) == 3 else 200
    headers = [(b"retry-after", header), (b"www-authenticate", header)] if header else []
    return httpx.Response(code, content=body, headers=headers)


_ASKED = _Asked()


def close() -> None:
    """Close the event loops."""
    _ASKED.close()
    control.close()


@dataclass(frozen=True)
class Target:
    fuzz: Callable[[bytes], bool]
    seeds: Sequence[bytes]  # all of them are taken
    refused: Sequence[bytes] = ()  # to be damaged too

    @property
    def name(self) -> str:
        return self.fuzz.__name__.removeprefix("fuzz_")


TARGETS = [
    Target(fuzz_qipc_value, seeds.VALUES),
    Target(fuzz_qipc_connection, seeds.STREAMS),
    Target(fuzz_call, seeds.CALLS, seeds.WRONG_CALLS),
    Target(fuzz_password, seeds.PASSWORDS),
    Target(fuzz_access_token, seeds.TOKENS),
    Target(fuzz_signed_token, seeds.SIGNED),
    Target(fuzz_ticket, seeds.TICKETS),
    Target(fuzz_signed_ticket, seeds.SIGNED_TICKETS),
    Target(fuzz_exchange, seeds.EXCHANGES),
    Target(fuzz_key_set, seeds.KEY_SETS),
    Target(fuzz_introspection, seeds.INTROSPECTIONS, seeds.REFUSED_ANSWERS),
    Target(fuzz_userinfo, seeds.USERINFOS, seeds.REFUSED_ANSWERS),
    Target(fuzz_configuration, seeds.CONFIGURATIONS),
    Target(fuzz_control, seeds.REQUESTS, seeds.WRONG_REQUESTS),
]
