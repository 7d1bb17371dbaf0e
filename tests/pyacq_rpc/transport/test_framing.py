from __future__ import annotations

import os
import socket
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyacq_rpc.limits import Limits
from pyacq_rpc.transport import segments
from pyacq_rpc.transport.framing import (
    HEAD,
    READ,
    LargeMessage,
    Parsed,
    descriptors_of,
    pack_free,
    pack_several,
    shared_length,
)

ANY = Limits()
FRAMES = st.lists(st.binary(max_size=50), min_size=1, max_size=4)


def packed(frames):
    if len(frames) == 1:
        return HEAD.pack(len(frames[0])) + frames[0]
    return pack_several([len(frame) for frame in frames], frames[0]) + b"".join(frames[1:])


def as_bytes(messages):
    return [[bytes(frame) for frame in frames] for frames in messages]


@given(st.lists(FRAMES | st.integers(0, 2**16), max_size=5), st.data())
def test_the_beginning_of_a_message_waits_for_its_rest(sent, data):
    messages = [it for it in sent if not isinstance(it, int)]
    freed = [it for it in sent if isinstance(it, int)]  # segments
    whole = b"".join(pack_free(it) if isinstance(it, int) else packed(it) for it in sent)
    cut = data.draw(st.integers(0, len(whole)))
    first = Parsed(whole[:cut], [], ANY)
    second = Parsed(first.rest + whole[cut:], [], ANY)
    assert as_bytes(first.messages + second.messages) == messages
    assert first.freed + second.freed == freed
    assert second.rest == b""
    assert first.large is second.large is None


@given(st.binary(max_size=100), st.integers(0, 3))
def test_garbage_is_a_value_error_or_nothing(data, frames):
    try:
        parsed = Parsed(data, [], Limits(message=1000, frames=frames + 1))
    except ValueError:
        return
    taken = sum(len(packed(as_bytes([frames])[0])) for frames in parsed.messages)
    taken += len(pack_free(0)) * len(parsed.freed)
    assert taken + len(parsed.rest) == len(data)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (pack_several([1] * 5, b""), "a message of 5 frames was announced; the limit is 4"),
        (HEAD.pack(1001), "a message of 1001 bytes was announced; the limit is 1000"),
        (pack_several([600, 401], b""), "a message of 1001 bytes was announced"),
        (pack_several([1, shared_length(3, 1000)], b""), "a message of 1001 bytes was announced"),
        (pack_several([1, shared_length(3, 10)], b"x"), "without the descriptors that belong to"),
    ],
)
def test_what_cannot_be_taken_in_is_told(data, why):
    with pytest.raises(ValueError, match=why):
        Parsed(data, [], Limits(message=1000, frames=4))


def test_segments_that_are_free_again_are_told_between_messages():
    parsed = Parsed(packed([b"a"]) + pack_free(7) + pack_free(8) + packed([b"b"]), [], ANY)
    assert parsed.messages == [[b"a"], [b"b"]]
    assert parsed.freed == [7, 8]


@pytest.mark.skipif(not segments.is_available(), reason="no shared memory here")
def test_a_frame_in_a_segment_is_found_by_its_descriptor():
    pool = segments.SegmentPool(1 << 30)
    try:
        segment = pool.put(memoryview(b"z" * segments.SHARED_FROM))
        data = pack_several([1, shared_length(segment.number, 5), 2], b"x") + b"yy"
        own, next_ones = os.dup(segment.fd), os.dup(segment.fd)
        parsed = Parsed(data, [own, next_ones], ANY)
        ((mapping, number),) = parsed.shared
        assert as_bytes(parsed.messages) == [[b"x", b"zzzzz", b"yy"]]
        assert parsed.messages[0][1].obj is mapping
        assert number == segment.number
        assert parsed.mapped == 1  # the other one belongs to what is still to come
        os.close(own)
        os.close(next_ones)
    finally:
        pool.close()


def test_a_large_message_is_read_where_it_stays():
    frames = [b"a" * 10, b"b" * (2 * READ)]
    data = packed(frames)
    parsed = Parsed(packed([b"before"]) + data[: READ // 2], [], ANY)
    assert parsed.messages == [[b"before"]]
    assert parsed.rest == b""
    assert parsed.large is not None
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        assert parsed.large.fill(ours) is None
        rest = memoryview(data)[READ // 2 :]
        filled = None
        while filled is None:
            rest = rest[theirs.send(rest[:READ]) :]
            filled = parsed.large.fill(ours)
        assert as_bytes([filled]) == [frames]
        assert not parsed.large.ended


def test_a_large_message_whose_sender_ends():
    large = LargeMessage([READ], READ, b"abc", [])
    ours, theirs = socket.socketpair()
    with ours:
        theirs.close()
        assert large.fill(ours) is None
        assert large.ended


def test_descriptors_are_told_from_what_else_may_come_along():
    rights = array("i", [5, 6]).tobytes()
    here = [
        (socket.SOL_SOCKET, socket.SCM_RIGHTS, rights),
        (socket.SOL_SOCKET, socket.SCM_RIGHTS + 1, rights),
        (socket.SOL_SOCKET, socket.SCM_RIGHTS, rights[:5]),  # one of them was cut off
    ]
    assert descriptors_of(here) == [5, 6, 5]
