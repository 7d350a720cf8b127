"""Whom a ticket is for: a process by the name that it says in `hello`, of this host."""

from sessiond.core.principal import folded

_AT = "@"


def name_of(audience: str, host: str) -> str | None:
    """Return the name of the process that an audience means; None: it is one of another host.

    Args:
        audience: NAME, or NAME@HOST. A name with an `@` in it is written with its host.
        host: Ours. Hosts' names are compared without regard to case (RFC 4343).
    """
    name, at, named_host = audience.rpartition(_AT)
    if not at:
        return audience
    return name if folded(named_host) == folded(host) else None
