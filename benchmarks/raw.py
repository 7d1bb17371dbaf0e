"""Plain pyzmq, DEALER to ROUTER: what the road itself costs.

``python -m benchmarks.raw ADDRESS`` is the other process.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from typing import ClassVar

import numpy as np
import zmq

__all__ = ["RawIpc", "RawTcp"]

_SIZE = 60
"""Bytes of a small message, about what a call and its answer take."""

# The first byte of a message says what to do with it.
_ECHO, _IGNORE, _LENGTH, _ARRAY = b"e", b"i", b"l", b"a"


def serve(address: str) -> None:
    """Answer messages until stdin closes."""
    socket = zmq.Context().socket(zmq.ROUTER)
    socket.sndhwm = socket.rcvhwm = 0
    socket.bind(address)
    print(socket.getsockopt_string(zmq.LAST_ENDPOINT), flush=True)
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    arrays: dict[int, np.ndarray] = {}
    while True:
        identity, head, *rest = socket.recv_multipart(copy=False)
        action = head.buffer[:1]
        if action == _ECHO:
            socket.send_multipart([identity, head])
        elif action == _LENGTH:
            length = np.frombuffer(rest[0].buffer).size
            del rest  # or its memory would not be there to receive the next one in
            socket.send_multipart([identity, b"%d" % length])
        elif action == _ARRAY:
            megabytes = int(head.bytes[1:])
            if megabytes not in arrays:
                arrays[megabytes] = np.ones(megabytes * 125_000)
            socket.send_multipart([identity, arrays[megabytes].data], copy=False)


class _Raw:
    name: ClassVar[str]
    baseline: ClassVar[str] = ""
    address: ClassVar[str]

    def __enter__(self) -> _Raw:
        self._folder = tempfile.TemporaryDirectory(prefix="pyacq-rpc-bench-")
        address = self.address.format(folder=self._folder.name)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.raw", address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.sndhwm = self._socket.rcvhwm = 0
        self._socket.connect(self._process.stdout.readline().strip())
        self._arrays: dict[int, np.ndarray] = {}
        return self

    def __exit__(self, *error: object) -> None:
        self._context.destroy(linger=0)
        self._process.communicate()  # closes its stdin, which ends it
        self._folder.cleanup()

    def call(self, count: int) -> None:
        message = _ECHO.ljust(_SIZE)
        for _ in range(count):
            self._socket.send(message)
            assert len(self._socket.recv()) == _SIZE

    def pipeline(self, count: int) -> None:
        message = _ECHO.ljust(_SIZE)
        for _ in range(count):
            self._socket.send(message)
        for _ in range(count):
            assert len(self._socket.recv()) == _SIZE

    def fire(self, count: int) -> None:
        message = _IGNORE.ljust(_SIZE)
        for _ in range(count):
            self._socket.send(message)
        self.call(1)

    def send_array(self, count: int, megabytes: int) -> None:
        if megabytes not in self._arrays:
            self._arrays[megabytes] = np.ones(megabytes * 125_000)
        array = self._arrays[megabytes]
        for _ in range(count):
            self._socket.send_multipart([_LENGTH, array.data], copy=False)
            assert int(self._socket.recv()) == array.size

    def get_array(self, count: int, megabytes: int) -> None:
        for _ in range(count):
            self._socket.send(_ARRAY + b"%d" % megabytes)
            frame = self._socket.recv(copy=False)
            assert np.frombuffer(frame.buffer).size == megabytes * 125_000
            del frame


class RawTcp(_Raw):
    """An echo over loopback."""

    name: ClassVar[str] = "raw tcp"
    address: ClassVar[str] = "tcp://127.0.0.1:*"


class RawIpc(_Raw):
    """An echo over a Unix socket."""

    name: ClassVar[str] = "raw ipc"
    address: ClassVar[str] = "ipc://{folder}/raw"


if __name__ == "__main__":
    serve(sys.argv[1])
