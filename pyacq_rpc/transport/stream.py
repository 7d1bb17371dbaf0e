"""Messages over a Unix stream socket, straight from one thread to another.

What libzmq does in a thread of its own, for which both sides have to wait, a
message between two processes of one host does not need.

Each message begins with four bytes, little-endian: the length of its only
frame, which follows. With the highest bit set they are a number of frames
instead; then comes the length of each in eight bytes, then the frames. A frame
whose length has its highest bit set lies in a shared segment instead: the next
15 bits are the segment's number, and its descriptor comes with the message. A
number of frames of zero says that the segment is free again whose number
follows in four bytes.
"""

from __future__ import annotations

import collections
import contextlib
import mmap
import os
import socket
import struct
import time
from array import array
from collections.abc import Callable
from functools import partial
from typing import Any

from ..late_logging import getLogger
from ..limits import Limits
from .segments import MAX_OUT, SHARED_FROM, Mapping, SegmentPool, map_segment
from .segments import is_available as _can_share

__all__ = ["Stream"]

_log = getLogger(__name__)

_READ = 64 * 1024
"""Bytes to read at once. A message that does not fit is read into a buffer of its own."""

_ANY = Limits(message=1 << 36, unsent=1 << 62)
"""What a message may be where nobody says less."""

_SEVERAL = 1 << 31
_HEAD = struct.Struct("<I")
_head_at = _HEAD.unpack_from
_LENGTH = struct.Struct("<Q")
_FREE = struct.Struct("<II")

_SHARED = 1 << 63
_NUMBER_AT = 48
_SIZE_MASK = (1 << _NUMBER_AT) - 1
_MAX_DESCRIPTORS = 16
"""Descriptors that may come with one message."""

_ROOM = socket.CMSG_SPACE(4 * _MAX_DESCRIPTORS) if hasattr(socket, "CMSG_SPACE") else 0
_FLAGS = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


class Stream:
    """One end of a connection; neither sending nor receiving ever blocks.

    What the socket does not take at once is kept, and somebody told to `flush`
    it later.

    An interrupt loses nothing and doubles nothing. Python runs signal handlers
    when a call has returned and at the end of a loop's body, but not within a
    ``+=`` or an assignment: hence the ``+= map(...)``, which keep what a
    system call has returned, whatever happens next.

    Parameters
    ----------
    sock : socket.socket
        Connected. This owns it from now on; see to it, with a lock, that one
        thread uses it at a time.
    limits : Limits, optional
        Of the messages that it receives, and of the shared memory in which
        the other side may keep what it has received.

    Attributes
    ----------
    fd : int
        Readable when there is something to `receive`.
    ended : bool
        Whether everything has been received, and the other side has closed.
    broken : bool
        Whether nothing can be sent any more. There may be something to receive.
    unsent : int
        Bytes that the socket has not taken yet.
    taken : int
        How many messages will be sent, or were: an interrupt may end `send` before or after it
        has taken one.
    fault : str
        What was wrong with what was received, if that has ended it.
    flushed : float
        When the last message was handed to the socket, by `time.monotonic`.
    on_full : callable
        Called when the socket did not take all; `flush` when it is writable.
    on_soon : callable
        Called, from any thread, when there is something to `flush` within a
        moment.
    on_closed : callable
        Called when this end has been closed.
    closed : bool
    """

    def __init__(self, sock: socket.socket, limits: Limits = _ANY) -> None:
        sock.setblocking(False)
        self._socket = sock
        self.fd = sock.fileno()
        self.ended = False
        self.broken = False
        self.unsent = 0
        self.taken = 0
        self.fault = ""
        self._limits = limits
        self.flushed = 0.0
        self._out: list[Any] = []
        self._sent: list[int] = []  # what the socket took, until it is noted
        self._got: list[Any] = []  # what it gave, until that is noted
        self._rest = b""  # the beginning of a message
        self._fds: list[int] = []  # and descriptors that belong to it
        self._large: _Large | None = None
        self._pool = SegmentPool(limits.unsent)
        self._freed: collections.deque[int] = collections.deque()
        self._held: set[int] = set()  # segments of the other side that are in use here
        self._full = False  # whether somebody was told to flush later
        self._soon = False  # or soon
        self.on_full: Callable[[], object] = _nothing
        self.on_soon: Callable[[], object] = _nothing
        self.on_closed: Callable[[], object] = _nothing
        self.closed = False

    # -- sending -------------------------------------------------------------

    def send(self, frames: list[Any]) -> None:
        """Send one message, after those that wait.

        To a side that is gone nothing is sent, which `broken` tells.
        """
        if len(frames) == 1 and not (self._out or self._freed):
            # What there is most of, in one step.
            data = _HEAD.pack(len(frames[0])) + frames[0]
            out, sent = self._out, self._sent
            self.flushed = time.monotonic()
            self.taken += 1
            out.append(data)
            try:
                sent += map(self._socket.send, (data,))
            except OSError:
                self.unsent = len(data)
                self.flush()
                return
            if sent[0] == len(data):
                del out[0]
                sent.clear()
                return
            self.unsent = len(data)
        else:
            self.gather(frames)
        self.flush()

    def send_soon(self, frames: list[Any]) -> None:
        """Send one message with those that follow within a moment, by one system call."""
        self.gather(frames)
        if not self._soon:
            self.on_soon()
            self._soon = True  # not before: it may be interrupted

    def gather(self, frames: list[Any]) -> None:
        """Send one message by the next `flush`, which is the caller's to call."""
        if len(frames) == 1:
            frame = frames[0]
            data = _HEAD.pack(len(frame)) + frame
            self.taken += 1
            self._out.append(data)
            self.unsent += _HEAD.size + len(frame)
            return
        first, *rest = frames
        inline: list[Any] = []
        lengths = [len(first)]
        fds: list[int] = []
        for frame in rest:
            view = memoryview(frame).cast("B")
            segment = None
            if len(view) >= SHARED_FROM and len(fds) < _MAX_DESCRIPTORS and _can_share():
                segment = self._pool.put(view)
            if segment is None:
                lengths.append(len(view))
                inline.append(view)
            else:
                lengths.append(_SHARED | segment.number << _NUMBER_AT | len(view))
                fds.append(segment.fd)
        head = b"".join([_HEAD.pack(_SEVERAL | len(frames)), *map(_LENGTH.pack, lengths), first])
        parts = [(head, fds) if fds else head, *inline]
        self.taken += 1
        self._out.extend(parts)
        self.unsent += len(head) + sum(map(len, inline))

    def flush(self) -> bool:
        """Send what is left; whether all is out."""
        out, sent = self._out, self._sent
        self._soon = False
        self.flushed = time.monotonic()
        while self._freed:
            out.append(_FREE.pack(_SEVERAL, self._freed[0]))
            self._freed.popleft()
            self.unsent += _FREE.size
        while out:
            if not sent:
                if len(out) > 1:
                    self._join()
                first = out[0]
                try:
                    if type(first) is tuple:
                        data, fds = first
                        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", fds))
                        sent += map(self._socket.sendmsg, ([data],), ([rights],))
                    else:
                        sent += map(self._socket.send, (first,))
                except BlockingIOError:
                    if not self._full:
                        self.on_full()
                        self._full = True
                    return False
                except OSError:
                    self.broken = True
                    out.clear()
                    self.unsent = 0
                    return True
            self.unsent -= sent[0]
            first = out[0][0] if type(out[0]) is tuple else out[0]
            if sent[0] == len(first):
                del out[0]
                sent.clear()
            else:
                rest = memoryview(first)[sent[0] :]
                out[0] = rest
                sent.clear()
        self._full = False
        self.unsent = 0  # an interrupt may have kept something from being counted
        return True

    def _join(self) -> None:
        """Make the first of what is to be sent as long as is worth a system call."""
        out = self._out
        count = size = 0
        for item in out:
            # What has descriptors goes by itself.
            if type(item) is tuple or size + len(item) > _READ:
                break
            size += len(item)
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
        got, large = self._got, self._large
        ended = False
        fds: list[int] = []
        try:
            if large is None:
                if not got:
                    got += map(self._socket.recvmsg, (_READ,), (_ROOM,), (_FLAGS,))
                data, ancillary, _, _ = got[0]
                if not (self._rest or ancillary or self._fds) and len(data) >= _HEAD.size:
                    (size,) = _head_at(data)
                    if size == len(data) - _HEAD.size:
                        # What there is most of: one message of one frame.
                        message = [data[_HEAD.size :]]
                        arrived = [message if sender is None else (sender, message)]
                        inbox += arrived
                        got.clear()
                        return
                ended = not data
                if ancillary:
                    fds = [*self._fds, *_descriptors(ancillary)]
                    if len(fds) > 2 * _MAX_DESCRIPTORS:  # of a message, and the next one
                        raise ValueError("descriptors came that belong to no message")
                elif self._fds:
                    fds = self._fds
                parsed = _Parsed(self._rest + data if self._rest else data, fds, self._limits)
            else:
                frames = large.fill(self._socket)
                if frames is None:
                    self.ended = large.ended
                    return
                parsed = _Parsed(b"", [], self._limits)
                parsed.messages.append(frames)
                parsed.shared += _mappings(frames, large.lengths)
        except BlockingIOError:
            return
        except ConnectionError:
            self.ended = True
            return
        except (OSError, ValueError) as error:
            _log.error("a stream is closed: %s", error)
            self.fault = str(error)
            self.ended = True
            got.clear()
            self._fds = []
            for fd in fds:
                os.close(fd)
            return
        messages = parsed.messages
        if sender is not None:
            messages = [(sender, message) for message in messages]
        left = fds[parsed.mapped :]
        used = large.fds if large is not None else fds[: parsed.mapped]
        # No call before the last of these: all of them happen, or none.
        inbox += messages
        self._large = parsed.large
        self._rest = parsed.rest
        self._fds = left
        self.ended = ended
        got.clear()
        for mapping, number in parsed.shared:
            # Not before: if this is begun once more, so are the mappings.
            self._held.add(id(mapping))
            mapping.released = partial(self._note_freed, number, id(mapping))
        if len(self._held) > MAX_OUT:
            self.fault = f"more than {MAX_OUT} segments of shared memory came at a time"
            _log.error("a stream is closed: %s", self.fault)
            self.ended = True
        for number in parsed.freed:
            self._pool.free(number)
        for fd in used:
            os.close(fd)

    def drain(self, inbox: collections.deque[Any], sender: object = None) -> None:
        """Add all that a side has sent that is known to be gone; see `receive`."""
        with contextlib.suppress(OSError):
            # Else one that is not gone could keep us here.
            self._socket.shutdown(socket.SHUT_RD)
        while not self.ended:
            self.receive(inbox, sender)

    def _note_freed(self, number: int, key: int) -> None:
        self._held.discard(key)
        self._freed.append(number)
        self.on_soon()  # the other side waits for it

    def close(self) -> None:
        """Close this end; what is not out is lost. Twice is once, and ends what was interrupted."""
        self.closed = True
        self.on_full = self.on_soon = _nothing
        self._socket.close()
        self._out.clear()
        self._pool.close()
        for fds in (self._fds, [] if self._large is None else self._large.fds):
            while fds:
                os.close(fds.pop())
        self._large = None
        self.on_closed()


def _nothing() -> None:
    pass


class _Parsed:
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
    large : _Large or None
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
        self.large: _Large | None = None
        at, end = 0, len(data)
        while end - at >= 4:
            (size,) = _head_at(data, at)
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
            if stop > end and stop - at <= _READ:
                break
            if shared > len(fds) - self.mapped:
                raise ValueError(
                    "a message came without the descriptors that belong to it; it may be that"
                    " this process cannot open any more (see 'ulimit -n')"
                )
            own = fds[self.mapped : self.mapped + shared]
            self.mapped += shared
            if stop > end:
                self.large = _Large(lengths, size, data[begin:], own)
                self.mapped -= shared  # they are its own now
                fds[self.mapped : self.mapped + shared] = []
                return
            view = memoryview(bytearray(data[begin:stop]))
            frames = _frames(view, lengths, own)
            self.messages.append(frames)
            self.shared += _mappings(frames, lengths)
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


def _mappings(frames: list[memoryview], lengths: list[int]) -> list[tuple[Mapping, int]]:
    return [
        (frame.obj, length >> _NUMBER_AT & 0x7FFF)
        for frame, length in zip(frames, lengths)
        if isinstance(frame.obj, Mapping)
    ]


def _descriptors(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    found = array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found.frombytes(data[: len(data) - len(data) % found.itemsize])
    return list(found)


class _Large:
    """A message that is read into memory of its own, which the frames then share."""

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
