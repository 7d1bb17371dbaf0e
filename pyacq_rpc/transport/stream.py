"""Messages over a Unix stream socket, straight from one thread to another.

What libzmq does in a thread of its own, for which both sides have to wait, a
message between two processes of one host does not need.
"""

from __future__ import annotations

import collections
import contextlib
import os
import socket
import time
from array import array
from collections.abc import Callable
from functools import partial
from typing import Any

from ..late_logging import getLogger
from ..limits import Limits
from .framing import (
    HEAD,
    LONGEST,
    READ,
    LargeMessage,
    Parsed,
    descriptors_of,
    head_at,
    mappings_of,
    pack_free,
    pack_several,
    shared_length,
)
from .segments import MAX_OUT, SHARED_FROM, SegmentPool
from .segments import is_available as _can_share

__all__ = ["Stream"]

_log = getLogger(__name__)

_ANY = Limits(message=1 << 36, unsent=1 << 62)
"""What a message may be where nobody says less."""

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
        self._large: LargeMessage | None = None
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
        if len(frames) == 1 and len(frames[0]) <= LONGEST and not (self._out or self._freed):
            # What there is most of, in one step.
            data = HEAD.pack(len(frames[0])) + frames[0]
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
        if len(frames) == 1 and len(frames[0]) <= LONGEST:
            frame = frames[0]
            data = HEAD.pack(len(frame)) + frame
            self.taken += 1
            self._out.append(data)
            self.unsent += HEAD.size + len(frame)
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
                lengths.append(shared_length(segment.number, len(view)))
                fds.append(segment.fd)
        head = pack_several(lengths, first)
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
            said = pack_free(self._freed[0])
            out.append(said)
            self._freed.popleft()
            self.unsent += len(said)
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
            if type(item) is tuple or size + len(item) > READ:
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
                    got += map(self._socket.recvmsg, (READ,), (_ROOM,), (_FLAGS,))
                data, ancillary, _, _ = got[0]
                if not (self._rest or ancillary or self._fds) and len(data) >= HEAD.size:
                    (size,) = head_at(data)
                    if size == len(data) - HEAD.size:
                        # What there is most of: one message of one frame.
                        message = [data[HEAD.size :]]
                        arrived = [message if sender is None else (sender, message)]
                        inbox += arrived
                        got.clear()
                        return
                ended = not data
                if ancillary:
                    fds = [*self._fds, *descriptors_of(ancillary)]
                    if len(fds) > 2 * _MAX_DESCRIPTORS:  # of a message, and the next one
                        raise ValueError("descriptors came that belong to no message")
                elif self._fds:
                    fds = self._fds
                parsed = Parsed(self._rest + data if self._rest else data, fds, self._limits)
            else:
                frames = large.fill(self._socket)
                if frames is None:
                    self.ended = large.ended
                    return
                parsed = Parsed(b"", [], self._limits)
                parsed.messages.append(frames)
                parsed.shared += mappings_of(frames, large.lengths)
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
