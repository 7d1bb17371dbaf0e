"""Says who may connect: a ZAP handler (ZeroMQ RFC 27).

libzmq asks it about every client of every socket with a key in this process,
once the client has proved to hold the key that it shows.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import zmq
from zmq.utils import z85

from ..late_logging import getLogger
from .waiting import Waker, wait_readable

__all__ = ["Gate"]

_log = getLogger(__name__)

_ENDPOINT = "inproc://zeromq.zap.01"
_VERSION = b"1.0"


class Gate:
    """Answers libzmq's questions, in a thread of its own.

    Parameters
    ----------
    context : zmq.Context
        Whose sockets it guards; it must be closed before that ends.
    admits : callable
        Whether a server may be connected to by a client, by their public
        keys in Z85.

    Raises
    ------
    RuntimeError
        If no thread can be started any more.
    """

    def __init__(self, context: zmq.Context[Any], admits: Callable[[bytes, bytes], bool]) -> None:
        self._admits = admits
        self._socket: zmq.Socket[bytes] = context.socket(zmq.REP)
        self._socket.linger = 0
        self._socket.bind(_ENDPOINT)
        self._waker = Waker()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="pyacq-rpc gate", daemon=True)
        try:
            self._thread.start()
        except BaseException:
            self._socket.close()
            self._waker.close()
            raise

    def _run(self) -> None:
        fds = [int(self._socket.fd), self._waker.fd]
        while not self._closing:
            try:
                self._answer(self._socket.recv_multipart(zmq.DONTWAIT))
            except zmq.Again:
                wait_readable(fds, None)
            except Exception:  # noqa: BLE001  # whoever asked is refused; others go on asking
                _log.exception("a client could not be judged")
        self._socket.close()

    def _answer(self, question: list[bytes]) -> None:
        version, request, domain, address, _, mechanism, *credentials = question
        code, text, user = b"400", b"not admitted", b""
        try:
            if version == _VERSION and mechanism == b"CURVE":
                public = z85.encode(credentials[0])
                if self._admits(domain, public):  # the domain is the server's key: `be_server`
                    code, text, user = b"200", b"OK", public
                else:
                    _log.warning(
                        "refused a client from %s: its key %s is not known here",
                        address.decode(errors="replace"),
                        public.decode(),
                    )
        finally:
            self._socket.send_multipart([_VERSION, request, code, text, user, b""])

    def close(self) -> None:
        """End the thread; who connects from now on is refused."""
        self._closing = True
        self._waker.wake()
        self._thread.join()
        self._waker.close()
