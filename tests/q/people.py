"""People who come over HTTP to a scripted daemon."""

from uuid import UUID, uuid4

from sessiond.qipc import NULL_GUID, Value, dictionary, guid, mapping, text
from tests.q.scripted import Arguments, ScriptedDaemon, allowed, answered


class People:
    """A daemon that knows people by what they bring: a bearer token, or the whole Cookie header."""

    def __init__(self, daemon: ScriptedDaemon) -> None:
        self.sessions: dict[str, UUID] = {}
        self.known: dict[str, Value] = {}
        self.children: dict[UUID, Value] = {}
        self.asked = 0
        daemon.answers["web"] = self._web
        daemon.answers["opened"] = self._opened

    def know(self, what: str, user: str, roles: tuple[str, ...] = (), **members: Value) -> UUID:
        session = self.sessions.setdefault(user, uuid4())
        self.known[what] = dictionary({**mapping(allowed(session, user, roles)), **members})
        return session

    def forget(self, what: str) -> None:
        del self.known[what]

    def _web(self, arguments: Arguments) -> Value:
        self.asked += 1
        brought = mapping(arguments[0])
        for name in ("bearer", "cookie"):
            if (what := text(brought[name])) and what in self.known:
                return self.known[what]
        return answered("deny", 401, "X-Said: no\r\n", "go away")

    def _opened(self, arguments: Arguments) -> Value:
        for session, child in self.children.items():
            if arguments[0] == guid(session):
                return child
        return NULL_GUID
