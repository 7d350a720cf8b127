"""A value that cannot be shown by accident."""

import hmac
from typing import NoReturn


class Secret:
    """A token or password: it prints as a placeholder and does not compare, hash or pickle.

    `reveal` is the only way to the text, so a search for it finds every place a secret is used.
    """

    __slots__ = ("_text",)
    __hash__ = None  # type: ignore[assignment]  # a secret is no dictionary key

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text

    def same_as(self, other: "Secret") -> bool:
        """Compare in time that does not depend on the contents."""
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __eq__(self, other: object) -> NoReturn:
        raise TypeError("secrets are compared with same_as")

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")

    def __copy__(self) -> "Secret":
        return self

    def __deepcopy__(self, memo: object) -> "Secret":
        return self
