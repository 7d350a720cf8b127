"""HTTP/1.1 on a Unix socket, where each request knows who its peer is."""

from typing import Any

import h11
import structlog
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from sessiond.system.peer import Peer, peer_of

MAX_CONNECTIONS = 512
# Connections of one user other than root; the rest is for the others. On half of them he may wait
# for locks (`tokenstores/locks.py`): who holds one must get through to write and to release it.
ONE_USERS_SHARE = 128

log = structlog.get_logger()


class PeerProtocol(H11Protocol):
    """uvicorn's protocol, with the peer's credentials in `request.state.peer`.

    Who connected is read once, when he does. A connection on which nothing comes is closed as an
    idle one is, after uvicorn's `timeout_keep_alive`; so is one on which a request has begun and
    does not end, however much of it comes meanwhile.
    """

    peer: Peer | None = None
    _begun_at: float | None = None  # loop time at which the request that is half there began

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        try:
            self.peer = peer_of(transport.get_extra_info("socket"))
        except OSError as error:  # it is gone already, or nobody can say who it is
            log.info("control peer unknown", error=str(error))
            transport.abort()
            return
        if self._is_crowded(self.peer):
            log.warning("control connection refused", uid=self.peer.uid, pid=self.peer.pid)
            transport.abort()
            return
        self.app_state = {**self.app_state, "peer": self.peer}
        self._expect_data()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        request: RequestResponseCycle | None = self.cycle
        if request is None or request.response_complete:
            is_between = self.conn.their_state is h11.IDLE and not self.conn.trailing_data[0]
            self._begun_at = None if is_between else self._begun_at or self.loop.time()
            self._expect_data()
        else:
            self._begun_at = None

    def _expect_data(self) -> None:
        if self.timeout_keep_alive_task is None and not self.transport.is_closing():
            began = self._begun_at or self.loop.time()
            self.timeout_keep_alive_task = self.loop.call_at(
                began + self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _is_crowded(self, peer: Peer) -> bool:
        if len(self.connections) > MAX_CONNECTIONS:
            return True
        same = sum(
            isinstance(each, PeerProtocol) and each.peer is not None and each.peer.uid == peer.uid
            for each in self.connections
        )
        return peer.uid != 0 and same > ONE_USERS_SHARE
