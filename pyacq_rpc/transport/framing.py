"""How messages lie in the bytes of a stream.

Each message begins with four bytes, little-endian: the length of its only
frame, which follows. With the highest bit set they are a number of frames
instead, which is one where the only one is longer than that; then comes the
length of each in eight bytes, then the frames. A frame whose length has its
highest bit set lies in a shared segment instead: the next 15 bits are the
segment's number, and its descriptor comes with the message. A number of frames
of zero says that the segment is free again whose number follows in four bytes.
"""

from __future__ import annotations

import mmap
import socket
import struct
from array import array
from typing import Any

from ..limits import Limits
from .segments import Mapping, map_segment

__all__ = [
    "HEAD",
    "LONGEST",
    "READ",
    "LargeMessage",
    "Parsed",
    "descriptors_of",
    "head_at",
    "mappings_of",
    "pack_free",
    "pack_several",
    "shared_length",
]

READ = 64 * 1024
"""Bytes to read at once. A message that does not fit is read into a buffer of its own."""

HEAD = struct.Struct("<I")
"""The length of an only frame, before it."""

head_at = HEAD.unpack_from

_SEVERAL = 1 << 31

LONGEST = _SEVERAL - 1
"""Bytes of which the length of an only frame can be told so."""

_LENGTH = struct.Struct("<Q")
_FREE = struct.Struct("<II")

_SHARED = 1 << 63
_NUMBER_AT = 48
_SIZE_MASK = (1 << _NUMBER_AT) - 1


def pack_several(lengths: list[int], first: Any) -> bytes:
    """Return what a message of several frames begins with, up to the end of the first one."""
    count = HEAD.pack(_SEVERAL | len(lengths))
    return b"".join([count, *map(_LENGTH.pack, lengths), first])


def shared_length(number: int, size: int) -> int:
    """Return what stands for the length of a frame of so many bytes in a segment."""
    return _SHARED | number << _NUMBER_AT | size


def pack_free(number: int) -> bytes:
    """Return what says that a segment of the other side's is free again."""
    return _FREE.pack(_SEVERAL, number)


class Parsed:
    """What some bytes that have arrived consist of.

    Attributes
    ----------
    messages : list
        Each a list of frames.
    mapped : int
        How many of the descriptors were needed.
    freed : list of int
        Segments that the other side has let go of.
    shared : list of (Mapping, int)
        Segments of the other side that are in use here now.
    rest : bytes
        The beginning of a message.
    large : LargeMessage or None
        The same, of a message that is too large to be read with others.

    Raises
    ------
    ValueError
        If it cannot be the beginning of a message.
    """

    def __init__(self, data: bytes, fds: list[int], limits: Limits) -> None:
        self.messages: list[Any] = []
        self.mapped = 0
        self.freed: list[int] = []
        self.shared: list[tuple[Mapping, int]] = []
        self.rest = b""
        self.large: LargeMessage | None = None
        at, end = 0, len(data)
        while end - at >= 4:
            (size,) = head_at(data, at)
            begin = at + 4
            if size < _SEVERAL:
                stop = begin + size
                if stop <= end:
                    self.messages.append([data[begin:stop]])
                    at = stop
                    continue
                lengths = [size]
            elif size == _SEVERAL:
                if end - at < _FREE.size:
                    break
                self.freed.append(_FREE.unpack_from(data, at)[1])
                at += _FREE.size
                continue
            else:
                count = size - _SEVERAL
                if count > limits.frames:
                    raise ValueError(
                        f"a message of {count} frames was announced; the limit is {limits.frames}"
                    )
                begin += count * _LENGTH.size
                if begin > end:
                    break
                lengths = [_LENGTH.unpack_from(data, at + 4 + n * 8)[0] for n in range(count)]
            shared = sum(length >= _SHARED for length in lengths)
            size = sum(length for length in lengths if length < _SHARED)
            whole = size + sum(length & _SIZE_MASK for length in lengths if length >= _SHARED)
            if whole > limits.message:
                raise ValueError(
                    f"a message of {whole} bytes was announced; the limit is {limits.message}"
                )
            stop = begin + size
            if stop > end and stop - at <= READ:
                break
            if shared > len(fds) - self.mapped:
                raise ValueError(
                    "a message came without the descriptors that belong to it; it may be that"
                    " this process cannot open any more (see 'ulimit -n')"
                )
            own = fds[self.mapped : self.mapped + shared]
            self.mapped += shared
            if stop > end:
                self.large = LargeMessage(lengths, size, data[begin:], own)
                self.mapped -= shared  # they are its own now
                fds[self.mapped : self.mapped + shared] = []
                return
            view = memoryview(bytearray(data[begin:stop]))
            frames = _frames(view, lengths, own)
            self.messages.append(frames)
            self.shared += mappings_of(frames, lengths)
            at = stop
        self.rest = data[at:]


def _frames(view: memoryview, lengths: list[int], fds: list[int]) -> list[memoryview]:
    frames = []
    at = used = 0
    for length in lengths:
        if length >= _SHARED:
            frames.append(memoryview(map_segment(fds[used], length & _SIZE_MASK)))
            used += 1
        else:
            frames.append(view[at : at + length])
            at += length
    return frames


def mappings_of(frames: list[memoryview], lengths: list[int]) -> list[tuple[Mapping, int]]:
    """Return the frames that lie in segments of the other side's, and these segments' numbers."""
    return [
        (frame.obj, length >> _NUMBER_AT & 0x7FFF)
        for frame, length in zip(frames, lengths)
        if isinstance(frame.obj, Mapping)
    ]


def descriptors_of(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    """Return the descriptors that have come with some bytes, from what `recvmsg` tells."""
    found = array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found.frombytes(data[: len(data) - len(data) % found.itemsize])
    return list(found)


class LargeMessage:
    """A message that is read into memory of its own, which the frames then share.

    Parameters
    ----------
    lengths : list of int
        Of its frames.
    size : int
        Bytes of those that do not lie in segments.
    begin : bytes
        What there is of these already.
    fds : list of int
        Of the segments.

    Attributes
    ----------
    ended : bool
        Whether the other side has closed before it was complete.
    """

    def __init__(self, lengths: list[int], size: int, begin: bytes, fds: list[int]) -> None:
        self.lengths = lengths
        self._size = size
        self.fds = fds
        # Unlike a bytearray it is not filled with zeros first, and a length
        # that nothing follows costs nothing.
        memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
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
        return _frames(self._view, self.lengths, self.fds)
