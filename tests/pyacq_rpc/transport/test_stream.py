from __future__ import annotations

import collections
import gc
import signal
import socket
import struct
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyacq_rpc.transport.stream import Stream
from pyacq_rpc.transport.waiting import wait_ready

FRAMES = st.lists(st.binary(max_size=200), min_size=1, max_size=4)


@pytest.fixture
def ends():
    """Two streams, connected to each other."""
    ends = [Stream(end) for end in socket.socketpair()]
    yield ends
    for end in ends:
        end.close()


@pytest.fixture
def half():
    """A stream, and the plain socket at its other end."""
    plain, other = socket.socketpair()
    stream = Stream(other)
    yield stream, plain
    stream.close()
    plain.close()


def as_bytes(messages):
    return [[bytes(frame) for frame in frames] for frames in messages]


def receive(stream, count=1):
    """Messages of the stream, until there are so many or it has ended."""
    inbox = collections.deque()
    while len(inbox) < count and not stream.ended:
        wait_ready([stream.fd], [], 10)
        stream.receive(inbox)
    return as_bytes(inbox)


@given(st.lists(FRAMES, max_size=20), st.lists(st.integers(1, 300), max_size=20))
def test_messages_arrive_however_the_bytes_are_cut(messages, cuts):
    plain, other = socket.socketpair()
    written, source = socket.socketpair()
    sender, stream = Stream(source), Stream(other)
    try:
        for frames in messages:
            assert sender.send(frames)
        data = written.recv(1 << 20) if messages else b""
        inbox = collections.deque()
        for cut in [*cuts, len(data)]:
            part, data = data[:cut], data[cut:]
            plain.sendall(part)
            if part:
                stream.receive(inbox)
        assert as_bytes(inbox) == messages
    finally:
        for end in (plain, written, sender, stream):
            end.close()


def test_what_a_message_looks_like(half):
    stream, plain = half
    stream.send([b"abc"])
    assert plain.recv(100) == b"\x03\0\0\0abc"
    stream.send([b"abc", memoryview(b"de")])
    assert plain.recv(100) == b"\x02\0\0\x80" + struct.pack("<QQ", 3, 2) + b"abcde"


def test_receiving_when_there_is_nothing(ends):
    inbox = collections.deque()
    ends[0].receive(inbox)
    assert not inbox
    assert not ends[0].ended


def test_the_sender_is_noted_with_each_message(ends):
    inbox = collections.deque()
    ends[0].send([b"a"])
    ends[0].send([b"b", b"c"])
    ends[1].receive(inbox, b"me")
    assert [sender for sender, _ in inbox] == [b"me", b"me"]
    assert as_bytes(frames for _, frames in inbox) == [[b"a"], [b"b", b"c"]]


@pytest.mark.parametrize("sizes", [[1_000_000], [10, 3_000_000], [300_000, 5, 0, 400_000]])
def test_large_messages(ends, sizes):
    message = [bytes([n]) * size for n, size in enumerate(sizes)]
    answers = []
    thread = threading.Thread(target=lambda: answers.extend(receive(ends[1], 3)))
    thread.start()
    for frames in ([b"before"], message, [b"after"]):
        ends[0].send(frames)
    while not ends[0].flush():
        wait_ready([], [ends[0].fd], 10)
    thread.join()
    assert answers == [[b"before"], message, [b"after"]]


def test_frames_after_the_first_are_writable(ends):
    inbox = collections.deque()
    ends[0].send([b"a", b"bb"])
    ends[1].receive(inbox)
    inbox[0][1][0] = 7
    assert bytes(inbox[0][1]) == b"\x07b"


def test_sending_never_blocks_and_loses_nothing(ends):
    message = [b"x" * 1000]
    sent = 0
    while ends[0].send(message):
        sent += 1
    for _ in range(500):
        assert not ends[0].send(message)
    arrived = 0
    inbox = collections.deque()
    while arrived < sent + 501:
        ends[1].receive(inbox)
        arrived += len(inbox)
        inbox.clear()
        ends[0].flush()
    assert ends[0].flush()


def test_the_end_comes_after_what_was_sent(ends):
    ends[0].send([b"last words"])
    ends[0].close()
    inbox = collections.deque()
    while not ends[1].ended:
        ends[1].receive(inbox)
    assert as_bytes(inbox) == [[b"last words"]]


@pytest.mark.parametrize("part", [b"\x05\0\0\0ab", b"\xff\xff\xff\x00" + bytes(100_000)])
def test_the_end_within_a_message(half, part):
    stream, plain = half
    plain.sendall(part)
    plain.close()
    assert receive(stream) == []
    assert stream.ended


def test_sending_to_a_side_that_is_gone(ends):
    ends[1].close()
    assert ends[0].send([b"hello"])
    assert ends[0].ended


class Interrupt(Exception):
    """What a signal handler raises, as Ctrl-C does."""


@pytest.fixture
def interrupting():
    """Calls a function, interrupted at some time or not; returns whether it was."""
    within = []

    def handler(signum, frame):
        if within:
            within.clear()
            raise Interrupt

    def call(function, *arguments):
        try:
            within.append(True)
            function(*arguments)
            within.clear()
        except Interrupt:
            return True
        return False

    old = signal.signal(signal.SIGPROF, handler)
    signal.setitimer(signal.ITIMER_PROF, 1e-3, 1e-3)
    gc.disable()  # others may have callbacks there, which an interrupt would spoil
    yield call
    signal.setitimer(signal.ITIMER_PROF, 0)
    gc.enable()
    signal.signal(signal.SIGPROF, old)


def test_interrupts_while_it_receives(half, interrupting):
    stream, plain = half
    inbox = collections.deque()
    interrupts = 0
    sent = 0
    while interrupts < 20:
        plain.sendall(b"".join(struct.pack("<II", 4, sent + n) for n in range(100)))
        sent += 100
        while len(inbox) < sent:
            interrupts += interrupting(stream.receive, inbox)
    assert [frames[0] for frames in inbox] == [struct.pack("<I", n) for n in range(sent)]
    assert interrupts


def test_interrupts_while_it_sends(half, interrupting):
    """Each message is sent once, whole, in order, whether or not it was interrupted."""
    stream, plain = half
    received = []
    thread = threading.Thread(target=lambda: received.extend(iter(lambda: plain.recv(65536), b"")))
    thread.start()
    count = 20_000
    interrupts = sum(interrupting(stream.send, [struct.pack("<I", n)]) for n in range(count))
    while not stream.flush():
        wait_ready([], [stream.fd], 10)
    stream.close()
    thread.join()
    data = b"".join(received)
    numbers = [struct.unpack_from("<I", data, at)[0] for at in range(4, len(data), 8)]
    assert numbers == sorted(set(numbers))
    assert count - interrupts <= len(numbers) <= count
    assert interrupts


@settings(max_examples=300)
@given(st.binary(max_size=400))
def test_garbage_is_no_exception(data):
    plain, other = socket.socketpair()
    stream = Stream(other)
    try:
        plain.sendall(data)
        plain.close()
        inbox = collections.deque()
        while not stream.ended:
            stream.receive(inbox)
    finally:
        stream.close()
