"""Finds out what has become of a server to which a client does not get through.

Of a client that somebody has made by an address, the server may be still to come. But one that
was made to use an object has a server that listened before there was that object, and does so as
long as it lives. It may be kept from letting anybody in; then libzmq greets in its stead.
"""

from __future__ import annotations

import errno
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from ..transport.greeting import first_byte

if TYPE_CHECKING:
    from .client import RPCClient
    from .runtime import Runtime

__all__ = ["Scout"]

FIRST = 0.25
"""Seconds that a client has to get through before somebody looks after its server."""

AGAIN = 1.0
"""Seconds from one look to the next."""

SILENCE = 3.5
"""Seconds without a sign of life after which a server counts as out of reach."""

PATIENCE = 60.0
"""Seconds that a server may take to let a client in for which nobody waits, as long as a grant
outlives its granter. It has to run Python for that, and may be in a call that does not let it."""

_NO_WAY = (errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH)


class Scout:
    """Looks after the server of one client until that gets through to it.

    Then its monitor tells what becomes of the connection, and its heartbeats.

    Parameters
    ----------
    runtime : Runtime
    client : RPCClient
        Made for the server of its channel's link.
    """

    def __init__(self, runtime: Runtime, client: RPCClient) -> None:
        self._runtime = runtime
        self._client = client
        self._channel = client.channel
        self._began = time.monotonic()
        self._silent_since: float | None = None

    def begin(self) -> None:
        """Look after it in a while."""
        if not self._channel.address.startswith("inproc:"):
            self._runtime.watcher.do(self._look, FIRST)

    def _is_over(self) -> bool:
        channel = self._channel
        channel.check_monitor()
        return channel.closed or channel.connected()

    def _look(self) -> None:
        if self._is_over():
            return
        if time.monotonic() - self._began >= PATIENCE and self._client.reaches_nobody():
            self._client.close()
            return
        # To resolve its host's name, or to connect, may take a while.
        thread = threading.Thread(target=self._ask, name="pyacq-rpc scout", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # there are too many, or this is the end
            self._runtime.watcher.do(self._look, AGAIN)

    def _ask(self) -> None:
        began = time.monotonic()
        what, is_gone = "", False
        try:
            first_byte(self._channel.address, SILENCE)
            self._silent_since = None
        except (ConnectionRefusedError, FileNotFoundError):
            what, is_gone = "cannot be reached: nobody listens there", True
        except ValueError:  # as resolving it finds
            what, is_gone = "cannot be reached: there is no such host", True
        except OSError as error:
            if isinstance(error, TimeoutError) or error.errno in _NO_WAY:
                self._silent_since = self._silent_since or began
                if time.monotonic() - self._silent_since >= SILENCE:
                    # It may be frozen, or without descriptors for anybody new.
                    what = "gives no sign of life"
            # Anything else tells of this side, or of what gives names to hosts.
        if what:
            self._runtime.watcher.do(partial(self._tell, what, is_gone))
        else:
            self._runtime.watcher.do(self._look, AGAIN)

    def _tell(self, what: str, is_gone: bool) -> None:
        link = self._channel.link
        if self._is_over() or link is None:
            return
        if self._runtime.links.is_connected(link):  # by another client
            self._runtime.watcher.do(self._look, AGAIN)
            return
        if is_gone:
            self._runtime.links.not_met(link)
        self._channel.lose(what)
