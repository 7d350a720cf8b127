"""A browser of a chaos run: its way through a sign-in, and its cookies."""

import re
from dataclasses import dataclass, field
from typing import Any

_COOKIE = re.compile(r"^Set-Cookie: ([^=]+)=([^;\r]*)(.*)$", re.MULTILINE)
_LOCATION = re.compile(r"^Location: (\S+)", re.MULTILINE)


@dataclass(eq=False)
class Browser:
    """At one process."""

    issuer: str  # the name of whom it signs in at
    cookies: dict[str, str] = field(default_factory=dict)
    goes_to: str = ""  # where it was sent last
    target: str = ""  # the way back from its issuer
    user: str = ""
    token: int = -1  # what the journal calls what its code is worth
    sign_out: str = ""  # the address that does

    @property
    def cookie(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    def take(self, answer: dict[str, Any]) -> None:
        """Keep the cookies that come with an answer, and where it leads."""
        for name, value, attributes in _COOKIE.findall(answer["headers"]):
            if "Max-Age=0" in attributes:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        found = _LOCATION.search(answer["headers"])
        self.goes_to = found[1] if found else ""
