"""Whether a secret that the suite has seen stands anywhere it should not.

What counts of a secret is its random part: a JWT's signature, an opaque token whole.
"""

CHUNK = 8  # characters; any 16 in a row hold one of these whole

_chunks: dict[bytes, str] = {}  # of every secret, with a name to report it by


def remember(token: str, name: str) -> None:
    """Look for this token from now on."""
    random_part = token.rpartition(".")[2].encode()
    for at in range(0, len(random_part) - CHUNK + 1, CHUNK):
        _chunks[random_part[at : at + CHUNK]] = name


def found_in(text: bytes) -> set[str]:
    """Return the names of the secrets of which 16 characters or more in a row stand in the text."""
    return {
        _chunks[text[at : at + CHUNK]]
        for at in range(len(text) - CHUNK + 1)
        if text[at : at + CHUNK] in _chunks
    }
