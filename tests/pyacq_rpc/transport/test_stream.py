from __future__ import annotations

import collections
import gc
import os
import signal
import socket
import struct
import threading

import pytest
from conftest import open_descriptors
from hypothesis import given, settings
from hypothesis import strategies as st

from pyacq_rpc.transport import stream
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


@pytest.mark.parametrize("send", ["send", "gather"])
def test_an_only_frame_may_be_too_long_for_its_length_to_be_told_in_four_bytes(
    half, ends, monkeypatch, send
):
    monkeypatch.setattr(stream, "LONGEST", 1000)  # which would be 2 GB
    sender, plain = half
    for size, head in (
        (1000, struct.pack("<I", 1000)),
        (1001, struct.pack("<IQ", 1 << 31 | 1, 1001)),
    ):
        for end in (sender, ends[0]):
            getattr(end, send)([bytes(size)])
            end.flush()
        assert plain.recv(5000) == head + bytes(size)
    assert receive(ends[1], 2) == [[bytes(1000)], [bytes(1001)]]


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
            sender.send(frames)
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
    full = []
    ends[0].on_full = lambda: full.append(True)
    sent = 0
    while not full:
        ends[0].send(message)
        sent += 1
    for _ in range(500):
        ends[0].send(message)
    assert full == [True]
    arrived = 0
    inbox = collections.deque()
    while arrived < sent + 500:
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
    ends[1].send([b"last words"])
    ends[1].close()
    ends[0].send([b"hello"])
    assert ends[0].broken
    assert not ends[0].ended
    assert receive(ends[0]) == [[b"last words"]]


@pytest.mark.parametrize("sizes", [[10] * 200, [10, 150_000], [30_000] * 5])
def test_draining_takes_all_that_was_sent(ends, sizes):
    """More than is read at once; and the other side may be there still, or frozen."""
    for size in sizes:
        ends[0].send([bytes(size)])
    assert ends[0].flush()
    inbox = collections.deque()
    ends[1].drain(inbox)
    assert [len(frames[0]) for frames in inbox] == sizes
    assert ends[1].ended
    ends[0].send([b"more"])
    assert ends[0].broken


def test_draining_drops_what_was_not_sent_whole(half):
    stream, plain = half
    plain.send(struct.pack("<I", 300_000) + bytes(100_000))
    inbox = collections.deque()
    stream.drain(inbox)
    assert not inbox
    assert stream.ended


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


class TestShared:
    """Large frames travel in shared segments, where there are any."""

    DATA = bytes(range(256)) * 2000  # 512,000 bytes

    def arrive(self, stream, count=1):
        inbox = collections.deque()
        while len(inbox) < count:
            wait_ready([stream.fd], [], 10)
            stream.receive(inbox)
        return list(inbox)

    def test_they_arrive_as_they_were_among_others(self, ends):
        message = [b"a", self.DATA, b"b" * 5000, self.DATA[::-1], b""]
        for frames in ([b"before"], message, [b"after"]):
            ends[0].send(frames)
        assert as_bytes(self.arrive(ends[1], 3)) == [[b"before"], message, [b"after"]]

    def test_they_are_writable_and_the_sender_keeps_its_own(self, ends):
        data = bytearray(self.DATA)
        ends[0].send([b"a", data])
        ((_, frame),) = self.arrive(ends[1])
        frame[:3] = b"new"
        assert data == self.DATA

    def test_the_sender_may_change_it_once_it_is_sent(self, ends):
        data = bytearray(self.DATA)
        ends[0].send([b"a", data])
        data[:] = bytes(len(data))
        ((_, frame),) = self.arrive(ends[1])
        assert bytes(frame) == self.DATA

    def test_segments_are_used_again(self, ends):
        before = len(open_descriptors())
        for _ in range(300):
            ends[0].send([b"a", self.DATA])
            self.arrive(ends[1])
            ends[1].flush()
            ends[0].receive(collections.deque())
        assert len(open_descriptors()) <= before + 2

    def test_one_that_is_held_is_not_used_again(self, ends):
        held = []
        for n in range(100):
            ends[0].send([b"a", bytes([n]) * len(self.DATA)])
            inbox = collections.deque()
            while not inbox:  # beyond the limit it comes as bytes, part by part
                ends[0].flush()
                ends[1].receive(inbox)
            held += inbox
        assert [frames[1][0] for frames in held] == list(range(100))
        assert all(frames[1][0] == frames[1][-1] for frames in held)

    def test_whoever_has_to_be_told_of_it_is_asked_to(self, ends):
        asked = []
        ends[1].on_soon = lambda: asked.append(True)
        ends[0].send([b"a", self.DATA])
        arrived = self.arrive(ends[1])
        assert not asked
        del arrived
        assert asked

    def test_what_is_held_outlives_both_ends(self, ends):
        ends[0].send([b"a", self.DATA])
        ((_, frame),) = self.arrive(ends[1])
        for end in ends:
            end.close()
        assert bytes(frame) == self.DATA

    def test_a_message_that_is_large_besides(self, ends):
        message = [b"x" * 200_000, self.DATA, b"y" * 100_000, self.DATA]
        answers = []
        thread = threading.Thread(target=lambda: answers.extend(receive(ends[1])))
        thread.start()
        ends[0].send(message)
        while not ends[0].flush():
            wait_ready([], [ends[0].fd], 10)
        thread.join()
        assert answers == [message]

    def test_closing_with_descriptors_that_nobody_took(self, ends):
        before = len(open_descriptors())
        ends[0].send([b"x" * 200_000, self.DATA])
        ends[1].receive(collections.deque())
        assert len(open_descriptors()) > before

    @pytest.mark.parametrize("fd", [None, os.devnull])
    def test_a_segment_that_is_none_ends_the_stream(self, half, fd, caplog):
        stream, plain = half
        head = struct.pack("<IQQ", 1 << 31 | 2, 1, 1 << 63 | 1 << 48 | 4096) + b"a"
        fds = [] if fd is None else [os.open(fd, os.O_RDWR)]
        socket.send_fds(plain, [head], fds)
        for each in fds:
            os.close(each)
        assert receive(stream) == []
        assert stream.ended
        assert "a stream is closed" in caplog.text
