"""Whether a password is a token: the rule that the q hook and the daemon share."""

import re
from typing import NamedTuple

from sessiond.core.compact import CompactToken, Stated, decoded
from sessiond.core.errors import Refusal, TokenRejected
from sessiond.core.secret import Secret
from sessiond.core.seen_headers import SeenHeaders

MAX_PASSWORD_SIZE = 32768  # bytes
MARK = "bearer:"
TICKET_MARK = "ticket:"

# Possessive, so that a text of a megabyte that turns out to be no token was read once, not twice.
_JWT = re.compile(r"(eyJ[A-Za-z0-9_-]*+)\.([A-Za-z0-9_-]++)\.([A-Za-z0-9_-]++)")
_B64TOKEN = re.compile(r"[A-Za-z0-9._~+/-]++=*+")  # RFC 6750, 2.1
_VISIBLE = re.compile(r"[\x21-\x7e]+")  # RFC 6749, A.12 and A.17, without the space
_JWE = re.compile(r"(eyJ[A-Za-z0-9_-]*+)(?:\.[A-Za-z0-9_-]*+){4}")  # RFC 7516, 7.1
_MIN_HALF = 20  # characters of each half of a pair
_NO_BEARER = "no access token after Bearer, wanted one without blanks: send Bearer ACCESS"
_PLAIN = "a plain password, wanted a token: sign in first, or mark an opaque one with bearer:"
_ONLY_MARKED = "no access token after the mark, wanted one without blanks: present bearer:ACCESS"
_ONLY_TICKET = (
    "no JWT after ticket:, wanted a ticket, whole and with nothing around it: have the process ask "
    "for another"
)
_NO_TICKET = (
    "a ticket, wanted an access token of an issuer: a ticket opens a session at the process that "
    "it names, and does nothing else"
)
_ENCRYPTED = (
    "an encrypted token (JWE), which only its addressee can read, wanted a signed one (JWS): have "
    "the program ask for an audience (Auth0), or the issuer not encrypt"
)
_ALMOST = (
    "almost a token, wanted one whole, with nothing around it: present ACCESS, ACCESS;REFRESH or "
    "bearer:ACCESS"
)

_BLANKS = dict.fromkeys(map(ord, " \t\r\n"))
_AROUND = " \t\r\n\"'`"
_HEADER = re.compile(r"(eyJ[A-Za-z0-9_-]*+)\.")
_SCHEME = re.compile(r"bearer[: \t\r\n]", re.ASCII | re.IGNORECASE)  # RFC 6750, 2.1


class Presented(NamedTuple):
    """What a password turned out to carry."""

    access: Secret  # a JWT's is a CompactToken
    refresh: Secret | None

    @property
    def is_jwt(self) -> bool:
        """Whether the access token is one."""
        return isinstance(self.access, CompactToken)

    @property
    def stated_issuer(self) -> str | None:
        """Return `iss` of a JWT, not verified: good for looking up, never for belief."""
        issuer = (stated_claims(self.access) or {}).get("iss")
        return issuer if isinstance(issuer, str) else None


def is_sendable(token: str) -> bool:
    """Say whether a text can be a token at all: what a header and a form can carry, at most 32 KiB.

    Printable ASCII without the space, which RFC 6749 (A.12, A.17) allows and nobody sends.
    """
    return len(token) <= MAX_PASSWORD_SIZE and _VISIBLE.fullmatch(token) is not None


def is_ticket(password: str) -> bool:
    """Say whether a password is meant to be a ticket of sessiond's own: for `read_ticket` alone."""
    return password.startswith(TICKET_MARK)


def read_ticket(password: str) -> CompactToken:
    """Return the ticket that a password carries for which `is_ticket` holds, without its mark.

    Raises:
        TokenRejected: TOOLARGE or MALFORMED.
    """
    _check_size(password)
    ticket = _as_jwt(password.removeprefix(TICKET_MARK))
    if ticket is None:
        raise TokenRejected(Refusal.MALFORMED, _ONLY_TICKET)
    _check_header(ticket, None)
    return ticket


def read_password(password: str, headers: SeenHeaders[Stated] | None = None) -> Presented:
    """Return the tokens of an issuer's that a password carries.

    A password is a token when, read as bytes, it is one of these four; else it is a plain one:

    1. A JWT: three parts joined by two dots, each of one or more characters A-Z a-z 0-9 - _ . It
       begins with `eyJ`, which is `{"`; the length of the first part is not 1 modulo 4; and the
       first part, decoded from base64url (bits beyond the last whole byte do not count), ends with
       `}` and holds `"alg":`, both after every space, tab, CR and LF was taken out of it.
    2. A pair, split at the first `;`. Left, the access token: one or more of A-Z a-z 0-9 - . _ ~ +
       / and then any number of `=`. Right, the refresh token: bytes 0x21 to 0x7e only. Each half
       is at least 20 characters long.
    3. Anything that begins with `bearer:`, in lower case. The rest is read as 1, else as 2, else
       as an opaque access token, of a pair's left alphabet but of any length except 0.
    4. Anything that begins with `ticket:`, in lower case, before 2. The rest is read as 1.

    What is a token is then, in this order, `toolarge` when the whole password is longer than 32768
    bytes; `malformed` when the rest of 3 is none of the three, or that of 4 is not like 1; and
    `malformed` when an access token or a ticket is like 1 but its first part is not strict JSON
    (see `read_object`, with at most 250 commas and brackets) with `alg` at the top.

    Args:
        password: What came.
        headers: Those that were in order before, and what they hold; this one is added.

    Raises:
        TokenRejected: NOTTOKEN, TOOLARGE or MALFORMED; WRONGTYPE: 4, which is no issuer's token.
    """
    if is_ticket(password):
        read_ticket(password)
        raise TokenRejected(Refusal.WRONGTYPE, _NO_TICKET)
    marked = password.startswith(MARK)
    content = password[len(MARK) :] if marked else password
    access, refresh = _halves(content) or (content, None)
    jwt = _as_jwt(access, headers)
    if not (marked or jwt is not None or refresh is not None):
        raise TokenRejected(Refusal.NOTTOKEN, _why_no_token(password))
    _check_size(password)
    if jwt is not None:
        _check_header(jwt, headers)
    elif not _B64TOKEN.fullmatch(access):
        raise TokenRejected(Refusal.MALFORMED, _ONLY_MARKED)
    return Presented(
        access=Secret(access) if jwt is None else jwt,
        refresh=None if refresh is None else Secret(refresh),
    )


def read_bearer(token: str, headers: SeenHeaders[Stated] | None = None) -> Presented:
    """Return the access token of an `Authorization: Bearer` header (RFC 6750, 2.1).

    A JWT as `read_password` has it, else an opaque one: never a pair, and no mark is taken off.

    Args:
        token: What follows the scheme.
        headers: As `read_password` has them.

    Raises:
        TokenRejected: TOOLARGE or MALFORMED.
    """
    _check_size(token)
    jwt = _as_jwt(token, headers)
    if jwt is not None:
        _check_header(jwt, headers)
    elif not _B64TOKEN.fullmatch(token):
        raise TokenRejected(Refusal.MALFORMED, _NO_BEARER)
    return Presented(access=Secret(token) if jwt is None else jwt, refresh=None)


def is_almost_token(password: str) -> bool:
    """Say whether a password that is no token was meant to be one, so that nobody else may see it.

    It is when one of these holds:

    1. Every space, tab, CR and LF taken out, what begins at the first `eyJ` is the first part of a
       JWT, as `read_password` has it, and a dot. So a token counts that is pasted with its quotes,
       after `Bearer `, wrapped, cut short, with `;null` for its refresh token, or encrypted (JWE).
    2. Spaces, tabs, CR, LF, quotes and backticks taken off both ends, and then once `bearer` in any
       case with a colon or one of these blanks, and the ends again, a pair is left; or, if the word
       was there, an opaque access token of at least 20 characters.
    """
    text = password.translate(_BLANKS)
    header = _HEADER.match(text, text.find("eyJ")) if "eyJ" in text else None
    if header is not None and _is_header(header[1]):
        return True
    bare = password.strip(_AROUND)
    scheme = _SCHEME.match(bare)
    if scheme is None:
        return _halves(bare) is not None
    rest = bare[scheme.end() :].strip(_AROUND)
    is_opaque = len(rest) >= _MIN_HALF and _B64TOKEN.fullmatch(rest) is not None
    return is_opaque or _halves(rest) is not None


def stated_claims(access: Secret) -> Stated | None:
    """Return what a JWT says of itself, unverified, or None for an opaque or unreadable token.

    Only for looking up its issuer, and for `exp` and `iat`, which can but shorten what the issuer
    itself vouches for.
    """
    jwt = access if isinstance(access, CompactToken) else _as_jwt(access.reveal())
    return None if jwt is None else jwt.stated_claims


def is_encrypted(text: str) -> bool:
    """Say whether a text looks like an encrypted JWT: its header states `enc` (RFC 7516, 4.1.2)."""
    parts = _JWE.fullmatch(text) if len(text) <= MAX_PASSWORD_SIZE else None
    return parts is not None and len(parts[1]) % 4 != 1 and b'"enc"' in decoded(parts[1])


def _halves(text: str) -> tuple[str, str] | None:
    access, mark, refresh = text.partition(";")
    if not mark:
        return None
    if min(len(access), len(refresh)) < _MIN_HALF:
        return None
    if not (_B64TOKEN.fullmatch(access) and _VISIBLE.fullmatch(refresh)):
        return None
    return access, refresh


def _as_jwt(text: str, headers: SeenHeaders[Stated] | None = None) -> CompactToken | None:
    """Return a text that looks like a JWT, taken apart; None: it does not."""
    parts = _JWT.fullmatch(text)
    if parts is None:
        return None
    header_part, payload_part, signature_part = parts.groups()
    header = None if headers is None else headers.find(header_part)
    if header is None and not _is_header(header_part):
        return None
    return CompactToken(text, (header_part, payload_part, signature_part), header=header)


def _check_size(password: str) -> None:
    if _size(password) > MAX_PASSWORD_SIZE:
        raise TokenRejected(
            Refusal.TOOLARGE,
            f"longer than {MAX_PASSWORD_SIZE} bytes, wanted that at most: have fewer claims put "
            "into the token",
        )


def _size(password: str) -> int:
    """Return the bytes that came; what is no UTF-8 is one lone surrogate a byte, counted as one."""
    return len(password) if password.isascii() else len(password.encode(errors="replace"))


def _check_header(jwt: CompactToken, headers: SeenHeaders[Stated] | None) -> None:
    header = jwt.stated_header
    if header is None or "alg" not in header:
        raise TokenRejected(
            Refusal.MALFORMED,
            "the header of the JWT is not in order, wanted strict JSON with alg at the top: "
            "present the token whole",
        )
    if headers is not None:
        headers.keep(jwt.header_part, header)


def _is_header(part: str) -> bool:
    if len(part) % 4 == 1:
        return False
    header = decoded(part).translate(None, b" \t\r\n")
    return header.endswith(b"}") and b'"alg":' in header


def _why_no_token(password: str) -> str:
    if is_encrypted(password):
        return _ENCRYPTED
    return _ALMOST if is_almost_token(password) else _PLAIN
