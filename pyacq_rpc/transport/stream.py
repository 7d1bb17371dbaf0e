"""Messages over a Unix stream socket, straight from one thread to another.

What libzmq does in a thread of its own, for which both sides have to wait, a
message between two processes of one host does not need.

Each message begins with four bytes, little-endian: the length of its only
frame, which follows. With the highest bit set they are a number of frames
instead; then comes the length of each in eight bytes, then the frames.
"""

from __future__ import annotations

import collections
import mmap
import socket
import struct
import time
from itertools import accumulate
from typing import Any

from ..late_logging import getLogger

__all__ = ["Stream"]

_log = getLogger(__name__)

_READ = 64 * 1024
"""Bytes to read at once. A message that does not fit is read into a buffer of its own."""

MAX_FRAMES = 10_000
MAX_SIZE = 1 << 36
"""What a message may consist of; whoever says more does not speak this language."""

_SEVERAL = 1 << 31
_HEAD = struct.Struct("<I")
_head_at = _HEAD.unpack_from
_LENGTH = struct.Struct("<Q")


class Stream:
    """One end of a connection; neither sending nor receiving ever blocks.

    What the socket does not take at once is kept; `flush` it when the socket
    is writable.

    An interrupt loses nothing and doubles nothing. Python runs signal handlers
    when a call has returned and at the end of a loop's body, but not within a
    ``+=`` or an assignment: hence the ``+= map(...)``, which keep what a
    system call has returned, whatever happens next.

    Parameters
    ----------
    sock : socket.socket
        Connected. This owns it from now on; see to it, with a lock, that one
        thread uses it at a time.

    Attributes
    ----------
    fd : int
        Readable when there is something to `receive`.
    ended : bool
        Whether the other side has closed, or is gone.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._socket = sock
        self.fd = sock.fileno()
        self.ended = False
        self.flushed = 0.0  # when it was last asked to, by `time.monotonic`
        self._out: list[Any] = []
        self._sent: list[int] = []  # what the socket took, until it is noted
        self._in: list[bytes] = []  # what was read, until it makes a message
        self._large: _Large | None = None

    # -- sending -------------------------------------------------------------

    def send(self, frames: list[Any]) -> bool:
        """Send one message; whether all is out.

        To a side that is gone nothing is sent, which `ended` tells.
        """
        self.queue(frames)
        return self.flush()

    def queue(self, frames: list[Any]) -> None:
        """Have one message sent with the next ones, by one system call."""
        if len(frames) == 1:
            frame = frames[0]
            self._out.append(_HEAD.pack(len(frame)) + frame)
        else:
            rest = [memoryview(frame).cast("B") for frame in frames[1:]]
            sizes = [len(frames[0]), *map(len, rest)]
            head = [_HEAD.pack(_SEVERAL | len(frames)), *map(_LENGTH.pack, sizes), frames[0]]
            self._out.extend([b"".join(head), *rest])

    def flush(self) -> bool:
        """Send what is left; whether all is out."""
        out, sent = self._out, self._sent
        self.flushed = time.monotonic()
        while out:
            if not sent:
                if len(out) > 1:
                    self._join()
                try:
                    sent += map(self._socket.send, (out[0],))
                except BlockingIOError:
                    return False
                except OSError:
                    self.ended = True
                    out.clear()
                    return True
            if sent[0] == len(out[0]):
                del out[0]
                sent.clear()
            else:
                rest = memoryview(out[0])[sent[0] :]
                out[0] = rest
                sent.clear()
        return True

    def _join(self) -> None:
        """Make the first of what is to be sent as long as is worth a system call."""
        out = self._out
        count, size = 1, len(out[0])
        while count < len(out) and size + len(out[count]) <= _READ:
            size += len(out[count])
            count += 1
        if count > 1:
            joined = [b"".join(out[:count])]
            out[:count] = joined

    # -- receiving -----------------------------------------------------------

    def receive(self, inbox: collections.deque[Any], sender: object = None) -> None:
        """Add the messages that are there to an inbox.

        Parameters
        ----------
        inbox : collections.deque
            Each message is added as a list of frames.
        sender : object, optional
            If given, as a tuple of this and the list.
        """
        parts = self._in
        ended = False
        if self._large is None:
            try:
                parts += map(self._socket.recv, (_READ,))
            except BlockingIOError:
                if not parts:
                    return
            except OSError:
                parts.append(b"")
            try:
                messages, rest, large = _parse(parts[0] if len(parts) == 1 else b"".join(parts))
            except ValueError as error:
                _log.error("a stream is closed: %s", error)
                messages, rest, large, ended = [], b"", None, True
        else:
            large = self._large
            frames = large.fill(self._socket)
            if frames is None:
                self.ended = large.ended
                return
            messages, rest, large = [frames], b"", None
        ended = ended or (bool(parts) and not parts[-1])
        if sender is not None:
            messages = [(sender, message) for message in messages]
        kept = [rest] if rest else []
        # No call from here on: all of this happens, or nothing.
        inbox += messages
        self._large = large
        parts[:] = kept
        self.ended = ended

    def close(self) -> None:
        """Close this end; what is not out is lost."""
        self._socket.close()


def _parse(data: bytes) -> tuple[list[Any], bytes, _Large | None]:
    """Return the messages in `data`, and what is left: bytes, or a part of a large message.

    Raises
    ------
    ValueError
        If it cannot be the beginning of a message.
    """
    messages: list[Any] = []
    at, end = 0, len(data)
    while end - at >= 4:
        (size,) = _head_at(data, at)
        begin = at + 4
        sizes = [size]
        if size >= _SEVERAL:
            count = size - _SEVERAL
            if not 0 < count <= MAX_FRAMES:
                raise ValueError(f"a message of {count} frames was announced")
            begin += count * _LENGTH.size
            if begin > end:
                break
            sizes = [_LENGTH.unpack_from(data, at + 4 + n * 8)[0] for n in range(count)]
            size = sum(sizes)
            if size > MAX_SIZE:
                raise ValueError(f"a message of {size} bytes was announced")
        stop = begin + size
        if stop > end:
            if stop - at > _READ:
                return messages, b"", _Large(sizes, data[begin:])
            break
        if len(sizes) == 1:
            messages.append([data[begin:stop]])
        else:
            messages.append(_split(memoryview(bytearray(data[begin:stop])), sizes))
        at = stop
    return messages, data[at:], None


def _split(view: memoryview, sizes: list[int]) -> list[memoryview]:
    ends = [*accumulate(sizes)]
    return [view[stop - size : stop] for size, stop in zip(sizes, ends)]


class _Large:
    """A message that is read into memory of its own, which the frames then share."""

    def __init__(self, sizes: list[int], begin: bytes) -> None:
        self._sizes = sizes
        self._size = sum(sizes)
        # Unlike a bytearray it is not filled with zeros first, and a length
        # that nothing follows costs nothing.
        memory = mmap.mmap(-1, self._size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._view = memoryview(memory)
        self._view[: len(begin)] = begin
        self._counts = [len(begin)]
        self.ended = False

    def fill(self, sock: socket.socket) -> list[memoryview] | None:
        """Read what is there; return the frames once they are complete."""
        while (filled := sum(self._counts)) < self._size:
            try:
                self._counts += map(sock.recv_into, (self._view[filled:],))
            except BlockingIOError:
                return None
            except OSError:
                self._counts.append(0)
            if self._counts[-1] == 0:
                self.ended = True
                return None
        return _split(self._view, self._sizes)
