"""The process that asks the directory: one connection, one question at a time.

The daemon ends it when an answer is late. Where nobody does, it ends itself.
"""

import os
import signal
import sys
from typing import BinaryIO

from sessiond_ldap.directory import AwayError, BonsaiDirectory
from sessiond_ldap.lookup import Lookup, UnusableError
from sessiond_ldap.wire import (
    HEAD,
    Answer,
    Away,
    FromAsker,
    Question,
    Ready,
    Setup,
    ToAsker,
    Unusable,
    framed,
    size_of,
    to_asker,
)

LONGEST = 120  # seconds for one question, whatever the library waits for


def main() -> None:
    """Answer what comes on standard input until that ends."""
    said, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints, prints elsewhere
    setup = _read(said)
    if not isinstance(setup, Setup):
        return
    lookup = Lookup(setup.settings)
    directory = BonsaiDirectory(setup.settings, setup.password)
    _write(answers, Ready())
    while isinstance(question := _read(said), Question):
        signal.alarm(LONGEST)
        answer = _answer(lookup, directory, question)
        signal.alarm(0)
        _write(answers, answer)


def _answer(lookup: Lookup, directory: BonsaiDirectory, question: Question) -> Answer:
    try:
        return lookup.found(directory, question)
    except AwayError as error:
        return Away(text=str(error))
    except UnusableError as error:
        return Unusable(text=str(error))


def _read(stream: BinaryIO) -> ToAsker | None:
    head = stream.read(HEAD.size)
    if len(head) < HEAD.size:
        return None
    size = size_of(head)
    body = stream.read(size)
    return to_asker(body) if len(body) == size else None


def _write(stream: BinaryIO, message: FromAsker) -> None:
    stream.write(framed(message))
    stream.flush()


if __name__ == "__main__":
    main()
