"""Plain pyzmq, DEALER to ROUTER: what the road itself costs."""

from __future__ import annotations

import contextlib
import functools
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import zmq

from .. import memory, serving
from ..things import FLOATS_PER_MEGABYTE, IN_FLIGHT, random_array
from . import RAW
from .base import Contender

__all__ = ["Raw"]

SIZE = 60
"""Bytes of a small message, about what a call and its answer take."""

WINDOW = 500
"""Messages that the pipelined echo has in flight."""

IMPORTS = "import zmq, msgpack"
"""What an interpreter needs at least before it can be called."""

# The first byte of a message says what to do with it.
_ECHO, _LENGTH, _ARRAY = b"e", b"l", b"a"
_MESSAGE = _ECHO.ljust(SIZE)


class Raw(Contender):
    """Echoes over a Unix socket, and from thread to thread."""

    name = RAW

    @staticmethod
    def serve(address: str) -> None:
        """Answer two sockets, one for small messages and one for arrays.

        Neither is slowed down by what only the other needs.
        """
        context = zmq.Context()
        echoing, arrays = (_socket(context, zmq.ROUTER) for _ in range(2))
        echoing.bind(address)
        arrays.bind(address + "-arrays")
        threading.Thread(target=_serve_arrays, args=[arrays], daemon=True).start()
        serving.ready()
        _echo(echoing)

    def new_address(self) -> str:
        return "ipc://" + self.new_path()

    @contextlib.contextmanager
    def connected(self, address: str) -> Iterator[Any]:
        with zmq.Context() as context, _socket(context, zmq.DEALER) as socket:
            socket.connect(address)
            yield socket

    @functools.cached_property
    def _arrays(self) -> Any:
        return self.closing.enter_context(self.connected(self.server.address + "-arrays"))

    @functools.cached_property
    def _thread(self) -> Any:
        return self.closing.enter_context(_echo_thread())

    def call(self) -> None:
        self.thing.send(_MESSAGE)
        assert len(self.thing.recv()) == SIZE

    bound = None  # there is no method to look up

    def inproc(self) -> None:
        self._thread.send(_MESSAGE)
        assert len(self._thread.recv()) == SIZE

    def pipeline(self, count: int) -> None:
        send, recv = self.thing.send, self.thing.recv
        window = min(WINDOW, count)
        for _ in range(window):
            send(_MESSAGE)
        for _ in range(count - window):
            recv()
            send(_MESSAGE)
        for _ in range(window):
            assert len(recv()) == SIZE

    def send_array(self, megabytes: int) -> None:
        self._arrays.send_multipart([_LENGTH, random_array(megabytes).data], copy=False)
        assert int(self._arrays.recv()) == megabytes * FLOATS_PER_MEGABYTE

    def get_array(self, megabytes: int) -> None:
        import numpy as np

        self._arrays.send(_ARRAY + b"%d" % megabytes)
        frame = self._arrays.recv(copy=False)
        assert len(np.frombuffer(frame.buffer)) == megabytes * FLOATS_PER_MEGABYTE

    def start(self) -> dict[str, float]:
        """Measure an interpreter that imports what a node needs, and ends."""
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-c", IMPORTS], check=True)
        return {"": time.perf_counter() - begin}

    def memory(self) -> dict[str, float]:
        """Measure an interpreter that has imported what a node needs."""
        code = f"{IMPORTS}; import sys; print(flush=True); sys.stdin.read()"
        with subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            found = memory.share(process.pid)
            process.communicate()  # closes its stdin, which ends it
        return {"": found}

    @contextlib.contextmanager
    def joined(self, address: str) -> Iterator[Callable[[], int]]:
        with _socket(zmq.Context.instance(), zmq.DEALER) as socket:
            socket.connect(address)

            def call() -> int:
                for _ in range(IN_FLIGHT):
                    socket.send(_MESSAGE)
                for _ in range(IN_FLIGHT):
                    socket.recv()
                return IN_FLIGHT

            yield call


def _socket(context: zmq.Context[Any], kind: int) -> Any:
    socket = context.socket(kind)
    socket.sndhwm = socket.rcvhwm = socket.linger = 0
    return socket


def _echo(socket: Any) -> None:
    recv, send = socket.recv_multipart, socket.send_multipart
    while True:
        send(recv())


def _serve_arrays(socket: Any) -> None:
    import numpy as np

    while True:
        identity, head, *rest = socket.recv_multipart(copy=False)
        action = head.bytes[:1]
        if action == _LENGTH:
            length = len(np.frombuffer(rest[0].buffer))
            del rest  # or its memory would not be there to receive the next one in
            socket.send_multipart([identity, b"%d" % length])
        else:
            array = random_array(int(head.bytes[1:]))
            socket.send_multipart([identity, array.data], copy=False)


@contextlib.contextmanager
def _echo_thread() -> Iterator[Any]:
    with zmq.Context() as context, _socket(context, zmq.DEALER) as client:
        server = _socket(context, zmq.ROUTER)
        server.bind("inproc://echo")
        client.connect("inproc://echo")

        def run() -> None:
            with contextlib.suppress(zmq.ContextTerminated), server:
                _echo(server)

        thread = threading.Thread(target=run)
        thread.start()
        yield client
        client.close()
        context.term()
        thread.join()
