"""What plugins called by other names before 0.1: taken for one version more."""

from typing import Any

import structlog

FORMER = {"is_online": "asks", "needs_call": "needs_issuer", "still_valid": "vouches"}

log = structlog.get_logger()


class _UnderPresentNames:
    """A verifier whose members are found by the names of today."""

    def __init__(self, verifier: Any) -> None:
        self._verifier = verifier

    def __getattr__(self, name: str) -> Any:
        return getattr(self._verifier, FORMER.get(name, name))


def under_present_names(verifier: Any, *, plugin: str) -> Any:
    """Return a plugin's verifier, found by the names of today whatever it calls its members."""
    former = [old for new, old in FORMER.items() if not hasattr(verifier, new)]
    if not former or not all(hasattr(verifier, old) for old in FORMER.values()):
        return verifier
    log.warning(
        "plugin uses names that the next version does not know",
        plugin=plugin,
        former=", ".join(former),
        names=", ".join(FORMER),
    )
    return _UnderPresentNames(verifier)
