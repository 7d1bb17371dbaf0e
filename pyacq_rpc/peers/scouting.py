"""Finds out what has become of a server that does not greet a client.

Of a client that somebody has made by an address, the server may be still to come. But one that
was made to use an object has a server that listened before there was that object, and does so as
long as it lives. It may be too busy to say hello; then libzmq greets in its stead.
"""

from __future__ import annotations

import contextlib
import errno
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from ..transport.greeting import first_byte

if TYPE_CHECKING:
    from .channel import Channel
    from .runtime import Runtime

__all__ = ["Scout"]

FIRST = 0.25
"""Seconds that a server may take to greet before somebody looks after it."""

AGAIN = 1.0
"""Seconds from one look to the next."""

SILENCE = 3.5
"""Seconds without a sign of life after which a server counts as gone, as one does that is known."""

_NO_WAY = (errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH)


class Scout:
    """Looks after the server of one client until it has greeted that.

    Parameters
    ----------
    runtime : Runtime
    channel : Channel
        The client's, made for the server of a link.
    """

    def __init__(self, runtime: Runtime, channel: Channel) -> None:
        self._runtime = runtime
        self._channel = channel
        self._silent_since: float | None = None

    def begin(self) -> None:
        """Look after it in a while."""
        if not self._channel.address.startswith("inproc:"):
            self._runtime.watcher.do(self._look, FIRST)

    def _look(self) -> None:
        if self._channel.link is None or self._channel.closed:
            return
        # To resolve its host's name, or to connect, may take a while.
        thread = threading.Thread(target=self._ask, name="pyacq-rpc scout", daemon=True)
        with contextlib.suppress(RuntimeError):  # at exit
            thread.start()

    def _ask(self) -> None:
        began = time.monotonic()
        gone = ""
        try:
            first_byte(self._channel.address, SILENCE)
        except (ConnectionRefusedError, FileNotFoundError):
            gone = "cannot be reached: nobody listens there"
        except OSError as error:
            if isinstance(error, TimeoutError) or error.errno in _NO_WAY:
                self._silent_since = self._silent_since or began
                if time.monotonic() - self._silent_since >= SILENCE:
                    gone = "gives no sign of life"
            # Anything else is this side's fault, such as that it has no descriptors left.
        except ValueError:  # no name of a host, as resolving it finds
            return
        else:
            self._silent_since = None
        if gone:
            self._runtime.watcher.do(partial(self._tell, gone))
        else:
            self._runtime.watcher.do(self._look, AGAIN)

    def _tell(self, gone: str) -> None:
        link = self._channel.link
        if link is None:
            return
        if self._runtime.links.is_connected(link):  # by another client
            self._runtime.watcher.do(self._look, AGAIN)
        else:
            self._channel.lose(gone)
