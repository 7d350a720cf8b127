"""Text that others have chosen, where people read it."""


def escaped(text: str) -> str:
    """Return a text that cannot steer a terminal, nor seem to be more than one line.

    What is not printable (controls, line ends, marks of direction) stands as Python writes it:
    `\\n`, `\\x1b`, `\\u202e`.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def escaped_lines(text: str) -> str:
    """Return a text of several lines, a traceback say, each of which is `escaped`."""
    return "\n".join(map(escaped, text.split("\n")))
