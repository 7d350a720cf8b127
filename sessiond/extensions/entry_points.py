"""Plugins by their entry points: found by name, imported only when the configuration names them."""

from importlib.metadata import EntryPoint, entry_points
from typing import Any

from sessiond.core.errors import ConfigError

SUBSCRIBERS = "sessiond.subscribers"
VERIFIERS = "sessiond.verifiers"
ROLE_SOURCES = "sessiond.role_sources"


def installed(group: str) -> dict[str, EntryPoint]:
    """Return the entry points of a group by their names; nothing of them is imported."""
    return {point.name: point for point in entry_points(group=group)}


def named(group: str, name: str) -> EntryPoint:
    """Return one entry point of a group; nothing of it is imported.

    Raises:
        ConfigError: It is not installed; the message lists what is.
    """
    found = installed(group)
    if name not in found:
        others = ", ".join(sorted(found)) or "none"
        raise ConfigError(
            f"no plugin {name!r} in {group}, wanted one of the installed, {others}: install its "
            "package into sessiond's environment"
        )
    return found[name]


def load(group: str, name: str) -> Any:
    """Import one plugin and return what its entry point names.

    Raises:
        ConfigError: It is not installed (the message lists what is), or importing it fails.
    """
    point = named(group, name)
    try:
        return point.load()
    except Exception as error:
        raise ConfigError(
            f"plugin {name!r} of {group} ({point.value}) cannot be imported: "
            f"{type(error).__name__}: {error}, wanted to import it: mend its installation, or take "
            "it out of the configuration"
        ) from error
