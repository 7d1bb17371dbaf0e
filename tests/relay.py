"""A relay between a client and a server on tcp, which a test has in its hand."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

GREETING = 64
"""Bytes with which each side of a ZMTP connection begins."""

PING = 42
"""Bytes of a heartbeat in its frame, encrypted (RFC 37, RFC 26)."""

AT_A_TIME = 8192
"""Bytes after which one that is slow has a rest."""

Tamper = Callable[[bytes, Iterator[bytes]], Iterator[bytes]]
"""Takes a frame, and those that follow it, and gives what is passed on in their place."""


class Relay:
    """Passes on what comes, and keeps it.

    Parameters
    ----------
    port : int
        Of the server, on loopback.

    Attributes
    ----------
    address : str
        Where clients connect.
    seen : bytes
        What has come, from both sides.
    rate : float or None
        Bytes that it passes on in a second, in each direction; None for as many as come.
    """

    def __init__(self, port: int) -> None:
        self.seen = b""
        self.rate: float | None = None
        self._port = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self._listening.getsockname()[1]}"
        self._whole = threading.Event()  # clear while the cable is cut
        self._whole.set()
        self._tamper: Tamper | None = None
        self._of_client = False
        self._threads = [threading.Thread(target=self._accept)]
        self._open: list[socket.socket] = []
        self._threads[0].start()

    def cut(self) -> None:
        """Hold back all that comes; neither side is told."""
        self._whole.clear()

    def heal(self) -> None:
        """Pass on again, what was held back first."""
        self._whole.set()

    def shut(self) -> None:
        """Take in nobody any more, who is refused from now on."""
        if self._listening.fileno() >= 0:
            self._listening.shutdown(socket.SHUT_RDWR)
            self._listening.close()

    def reset(self) -> None:
        """End all connections."""
        for end in self._open:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def tamper(self, how: Tamper, of_client: bool = False) -> None:
        """Do this to the next frame of the server, or of the client."""
        self._of_client = of_client
        self._tamper = how

    def tampered(self) -> bool:
        """Whether it has been done."""
        return self._tamper is None

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listening.accept()
                far = socket.create_connection(("127.0.0.1", self._port))
            except ConnectionError:
                near.close()  # the server is gone
                continue
            except OSError:
                return
            self._open += [near, far]
            for source, target in ((near, far), (far, near)):
                thread = threading.Thread(target=self._pass, args=(source, target))
                thread.start()
                self._threads.append(thread)

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        of_client = source.getpeername()[1] != self._port
        try:
            frames = self._frames(source)
            for frame in frames:
                passed = iter([frame])
                how = self._tamper
                if how is not None and of_client == self._of_client and _is_message(frame):
                    self._tamper = None
                    passed = how(frame, frames)
                for data in passed:
                    self._whole.wait()
                    self._send(target, data)
        except OSError:
            pass
        finally:
            for end in (source, target):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def _send(self, target: socket.socket, data: bytes) -> None:
        if self.rate is None:
            target.sendall(data)
            return
        for begin in range(0, len(data), AT_A_TIME):
            part = data[begin : begin + AT_A_TIME]
            target.sendall(part)
            time.sleep(len(part) / self.rate)

    def _frames(self, source: socket.socket) -> Iterator[bytes]:
        """The greeting as it comes, since it is answered bit by bit; then one frame at a time."""
        left = GREETING
        while left:
            data = source.recv(left)
            if not data:
                return
            self.seen += data
            left -= len(data)
            yield data
        data = b""
        while True:
            length = _length_of(data)
            while length is None or len(data) < length:
                got = source.recv(1 << 20)
                if not got:
                    return
                self.seen += got
                data += got
                length = _length_of(data)
            yield data[:length]
            data = data[length:]

    def __enter__(self) -> Relay:
        return self

    def __exit__(self, *error: object) -> None:
        self.shut()
        self._threads[0].join(10)  # which opens no more from then on
        self.reset()
        self.heal()
        for thread in self._threads:
            thread.join(10)
        for end in self._open:
            end.close()


def _length_of(data: bytes) -> int | None:
    """Of the frame that begins there (RFC 23), once that is known."""
    if not data:
        return None
    if not data[0] & 2:
        return 2 + data[1] if len(data) > 1 else None
    return 9 + int.from_bytes(data[1:9], "big") if len(data) > 8 else None


def _is_message(frame: bytes) -> bool:
    """Whether it holds a message or a heartbeat, encrypted (RFC 26)."""
    return b"\x07MESSAGE" in frame[2:17]


def corrupt(frame: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    """Turn a bit."""
    at = len(frame) // 2
    yield frame[:at] + bytes([frame[at] ^ 1]) + frame[at + 1 :]


def duplicate(frame: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    """Send it twice."""
    yield frame
    yield frame


def reorder(frame: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    """Send the next one before it."""
    yield next(rest)
    yield frame


def truncate(frame: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    """Leave out its end."""
    yield frame[:-5]


def leaving_out(*which: int) -> Tamper:
    """Return what leaves out some of the next frames, by position.

    Heartbeats, which nobody would miss, are passed on and not counted.
    """

    def leave_out(frame: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
        last = max(which)
        for at in range(last + 1):
            while len(frame) == PING:
                yield frame
                frame = next(rest)
            if at not in which:
                yield frame
            if at < last:
                frame = next(rest)

    return leave_out
