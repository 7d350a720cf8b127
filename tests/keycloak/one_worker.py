"""How tests are dealt out to workers: files whole, and those that need Keycloak all to one."""

from xdist.scheduler import LoadFileScheduling


class OneKeycloak(LoadFileScheduling):  # type: ignore[misc]
    """Starts Keycloak once: every test_keycloak_*.py goes to the same worker.

    The group marker of pytest-xdist 3.8 does that too, but not with pytest 9.
    """

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return "keycloak" if "/test_keycloak_" in file else file
