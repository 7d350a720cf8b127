"""What is to be set up: as the options say it, and as it is once every question is answered."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sessiond.init.vendors import Vendor, scope_of_api


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """The options of `sessiond init`. None, or an empty tuple: it was left out."""

    issuer: str | None = None
    entra: str | None = None
    name: str | None = None
    verify: str | None = None
    audience: tuple[str, ...] = ()
    program: str | None = None
    scope: str | None = None
    role: tuple[str, ...] = ()  # VALUE=ROLE each; one empty text: none
    client_id: str | None = None
    q_user: str | None = None
    q_group: str | None = None
    ca_file: str = ""
    insecure_http: bool = False
    config: Path
    root: Path
    offline: bool = False
    dry_run: bool = False
    force: bool = False
    yes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """All that the configuration and the steps after it are made of."""

    vendor: Vendor
    name: str  # what the configuration calls the issuer
    issuer: str
    verify: str
    audience: tuple[str, ...]
    program: str  # the client that users sign in with; empty: nobody knows yet
    scope: str  # that each token must have; empty: none
    roles: Mapping[str, str]  # claim value: role
    client_id: str  # sessiond's own, for introspection
    q_user: str
    q_group: str
    ca_file: str
    insecure_http: bool
    config: Path

    @property
    def proof(self) -> str:
        return str(self.config.with_name("proof"))

    @property
    def secret(self) -> str:
        return str(self.config.with_name(f"{self.name}.secret"))

    @property
    def full_scope(self) -> str:
        """The scope as a program asks for it: Entra wants the API before it."""
        if self.vendor.kind != "entra" or not self.audience:
            return self.scope
        return scope_of_api(self.audience[0], self.scope)
