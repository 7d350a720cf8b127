"""What others have written, where a person reads it: one line, cut, and no token in it."""

import re

MOST = 300  # characters
_CUT = "..."

# An issuer may repeat in its error what it was sent. Long runs are tokens, or no words for people.
_MAYBE_TOKEN = re.compile(r"(?=[^\W_]*\d|\w{28})[\w+/=~-]{16,}", re.ASCII)


def printable(text: object) -> str:
    """Return a text that cannot steer a terminal nor seem to be two lines; "" for what is none."""
    if not isinstance(text, str):
        return ""
    line = "".join(each if each.isprintable() else " " for each in text[:MOST])
    return " ".join(line.split()) + (_CUT if len(text) > MOST else "")


def said(text: object) -> str:
    """Return what an issuer says of an error, printable, with what may be a token left out."""
    return _MAYBE_TOKEN.sub(_CUT, printable(text))
