"""What overtakes other requests, sent at the worst moment: before the server sends something.

That may swallow the sign that something has come. Here it always does, since the I/O thread is
kept from looking.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from conftest import eventually
from manual_peer import Peer

from pyacq_rpc.peers.runtime import current
from pyacq_rpc.peers.server import ServerCore
from pyacq_rpc.transport.waiting import wait_ready
from pyacq_rpc.wire.messages import Request

__all__ = ["Asking", "leave_alone", "while_status_is_told"]


class Asking:
    """Asks a server for its status.

    Attributes
    ----------
    has_asked : threading.Event
    peer : Peer
        Who asks.
    """

    def __init__(self, server: ServerCore, peer: Peer) -> None:
        self._server = server
        self.peer: Any = peer
        self.has_asked = threading.Event()

    def ask(self) -> None:
        """Ask; return when that has come to the server's socket, and nobody has looked."""
        _arrives(self._server, lambda: self.peer.send(Request(1, "status", "auto", {})))
        self.has_asked.set()

    def has_answer(self) -> bool:
        """Wait for the answer, and keep the server's thread from everything else meanwhile."""
        return self.has_asked.wait(10) and bool(self.peer.socket.poll(5000))


def leave_alone(server: ServerCore, *peers: Any) -> None:
    """Have the I/O thread not look at a server, to which nobody but these has connected."""
    for peer in peers:
        peer.ask("ping")  # the thread is told to look when the welcome has gone
    watcher, has_turned = current().watcher, threading.Event()
    watcher._servers.discard(server)
    watcher.do(has_turned.set)
    assert has_turned.wait(10)


def while_status_is_told(
    server: ServerCore, send: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Send it when the server, which waits, is asked for its status for the first time."""
    status, sends = server.status, [send]

    def after_it_has_come() -> dict[str, object]:
        if sends:
            _arrives(server, sends.pop())
        return status()

    monkeypatch.setattr(server, "status", after_it_has_come)
    assert eventually(lambda: not (server.depth() or server.listener.unread))


def _arrives(server: ServerCore, send: Callable[[], object]) -> None:
    server.listener.look_for_urgent()  # so that nothing else is signalled any more
    send()
    assert wait_ready([server.listener.urgent_fd], [], 10)
    assert server not in current().watcher._servers
    time.sleep(0.01)  # for a few million cycles, libzmq does not look when it sends
