"""A request to q's web server, as its `.z.ac` was told of it."""

from dataclasses import dataclass, field

from sessiond.core.session import ProcessAbout, ProcessKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One without a bearer. There is no method: q does not tell it.

    What may hold a token or a code is not shown.
    """

    target: str = field(repr=False)  # path and query
    cookie: str = field(default="", repr=False)  # the whole header
    accept: str = ""
    origin: str = ""
    host: str = ""
    site: str = ""  # Sec-Fetch-Site, where the browser says it
    address: int = 0  # kdb+'s .z.a: IPv4 as an int
    process: ProcessKey
    about: ProcessAbout

    @property
    def is_for_a_person(self) -> bool:
        """Whether a page is wanted, and not only what a script or program reads."""
        return "text/html" in self.accept.lower()

    @property
    def is_of_a_browser(self) -> bool:
        """Whether a browser surely makes it: no program says where its page is from."""
        return bool(self.site.strip())

    @property
    def is_from_elsewhere(self) -> bool:
        """Whether a page of another origin may ask (Fetch Metadata, 2.4).

        The browser says so, or says what is no word of it. One that says nothing is believed.
        """
        return self.site.strip().lower() not in ("", "none", "same-origin")
