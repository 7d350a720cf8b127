"""What a request is for, and where a browser may be sent: a path of the same base, never more."""

from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote

MAX_KEPT = 1024  # characters of an address that is gone back to after a sign-in
MAX_PARAMETERS = 32

URL_SAFE = "/?:@!$&'()*+,;=-._~%[]#"  # RFC 3986, 2.2: an issuer's address, made one line of ASCII

_OURS = ".sessiond"
_AS_IT_IS = "/?:@!$&'()*+,;=-._~%"  # RFC 3986, 3.3 and 3.4, and what is escaped already
_TURNS = 4  # of unescaping, after which an address is given up


@dataclass(frozen=True, slots=True)
class Target:
    """A request's target, taken apart. Its query may hold a code: neither is shown."""

    path: str  # from its first slash on
    query: str

    @classmethod
    def of(cls, text: str) -> "Target":
        """Take it apart; q leaves the slash at its begin out, or not."""
        path, _, query = text.removeprefix("/").partition("?")
        return cls(f"/{path}", query)

    @property
    def is_ours(self) -> bool:
        """Whether it is answered here, and never by q."""
        return self.path.startswith(f"/{_OURS}/")

    @property
    def may_ask(self) -> bool:
        """Whether q may find a question mark in it: `.z.ph` unescapes before it looks for one.

        A percent sign that is left counts as one, since q may make something of it.
        """
        return bool(self.query) or not {"?", "%"}.isdisjoint(unquote(self.path))

    def __repr__(self) -> str:
        return "Target(***)"


class RepeatedParameter(ValueError):  # noqa: N818 - what is wrong with a query
    """A parameter is there twice, which RFC 6749 (3.1) forbids, or there are too many."""


def parameters(query: str) -> dict[str, str]:
    """Return a query's parameters.

    Raises:
        RepeatedParameter: One is there twice: whoever reads the first and whoever reads the last
            would be told different things.
    """
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError:
        raise RepeatedParameter("too many parameters") from None
    found = dict(pairs)
    if len(found) != len(pairs):
        raise RepeatedParameter("a parameter twice")
    return found


def local_path(target: str) -> str:
    """Return a target as what may follow a base in a Location: printable ASCII after one slash.

    Where a browser is sent is always BASE and this. So nothing of it can name another host,
    whatever a browser makes of slashes, backslashes and dots.
    """
    escaped = quote(target.lstrip("/\\"), safe=_AS_IT_IS, errors="surrogatepass")
    return f"/{escaped.lstrip('/')}"


def way_back(target: str) -> str:
    """Return where to go after a sign-in: the local path, or the front page.

    It is that for an address that is too long to be kept, and for one of ours: nobody is signed
    out, or sent in a circle, by an address that he was sent to.
    """
    if len(target) > MAX_KEPT:
        return "/"  # and it is not read any further
    path = local_path(target)
    return path if len(path) <= MAX_KEPT and not _may_be_ours(path) else "/"


def _may_be_ours(path: str) -> bool:
    """Say whether a browser, a proxy or q may make one of our own addresses of it."""
    text = path.partition("?")[0]
    for _ in range(_TURNS):
        plain = unquote(text, errors="replace")
        if plain == text:
            return _OURS in text.lower()
        text = plain
    return True
