"""Messages of which somebody leaves out frames, as libzmq then puts them together."""

from __future__ import annotations

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from pyacq_rpc.transport import stamps
from pyacq_rpc.transport.stamps import (
    STAMP_SIZE,
    Stamps,
    ask_for_stamps,
    new_secret,
    secret_of,
    unstamp,
)

SECRET = new_secret()

DATA = st.binary(max_size=60) | st.sampled_from(
    [b"", SECRET[:15], Stamps(bytes(16)).put([b"head"])[0]]
)

MESSAGES = st.lists(st.lists(DATA, min_size=1, max_size=4), max_size=6)


@pytest.fixture(autouse=True, params=[stamps.PIECE, STAMP_SIZE + 1], ids=["whole", "pieces"])
def _cut_into(request, monkeypatch):
    monkeypatch.setattr(stamps, "PIECE", request.param)


def received(frames):
    """Return the messages that libzmq makes of frames: pairs of whether more follow, and data."""
    messages, message = [], []
    for more, data in frames:
        message.append(memoryview(data))
        if not more:
            messages.append(message)
            message = []
    return messages


def sent(messages):
    """Return the frames of messages, as libzmq sends them."""
    stamping = Stamps(SECRET)
    stamped = [stamping.put(message) for message in messages]
    return [(at < len(one) - 1, data) for one in stamped for at, data in enumerate(one)]


@given(MESSAGES)
def test_messages_arrive_as_they_were(messages):
    arrived = received(sent(messages))
    assert all(unstamp(SECRET, message) for message in arrived)
    assert arrived == messages


@given(MESSAGES, st.data())
def test_whatever_is_left_out_none_arrives_that_was_not_sent(messages, data):
    frames = sent(messages)
    left = [frame for frame in frames if data.draw(st.booleans())]
    for message in received(left):
        assert not unstamp(SECRET, message) or message in messages


@given(st.lists(st.binary(max_size=60), min_size=1))
def test_what_is_not_stamped_is_not_right(frames):
    assert not unstamp(SECRET, [memoryview(frame) for frame in frames])


def test_large_frames_go_in_pieces_of_one_size():
    message = [bytes(size) for size in (10, 2 * stamps.PIECE, 0, stamps.PIECE - 1)]
    frames = [len(frame) for frame in Stamps(SECRET).put(message)]
    if stamps.PIECE > STAMP_SIZE + 10:
        assert frames == [STAMP_SIZE + 10, stamps.PIECE, stamps.PIECE, 0, 0, stamps.PIECE - 1, 28]
    else:
        assert frames == [stamps.PIECE, 9, stamps.PIECE, stamps.PIECE, 0, 0, stamps.PIECE - 1, 28]


def test_one_that_is_too_large_is_not_put_together():
    data = bytes(3 * stamps.PIECE)
    for most, count in ((len(data), 2), (len(data) - 1, 5)):
        frames = [memoryview(frame) for frame in Stamps(SECRET).put([b"", data])]
        assert unstamp(SECRET, frames, most)
        assert len(frames) == count
        assert b"".join(frames) == data


def test_what_was_put_together_may_be_written_to():
    frames = [memoryview(frame) for frame in Stamps(SECRET).put([b"", bytes(stamps.PIECE)])]
    assert unstamp(SECRET, frames)
    assert not frames[1].readonly


def test_a_stamp_alone_is_an_empty_message():
    (stamp,) = Stamps(SECRET).put([b""])
    frames = [memoryview(stamp)]
    assert unstamp(SECRET, frames)
    assert frames == [b""]
    assert not unstamp(SECRET, [memoryview(stamp)[:-1]])


@given(MESSAGES, st.data())
def test_of_what_is_not_cut_off_all_arrives(messages, data):
    """What is left out is the end of some messages."""
    left, wanted = [], []
    for message in messages:
        own = sent([message])
        kept = data.draw(st.integers(1, len(own)))
        left += own[:kept]
        wanted += [message] if kept == len(own) else []
    arrived = [message for message in received(left) if unstamp(SECRET, message)]
    assert arrived == wanted


def test_what_is_asked_for_is_known_to_the_server():
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        port = router.bind_to_random_port("tcp://127.0.0.1")
        for secret in (SECRET, None):
            with context.socket(zmq.DEALER) as dealer:
                if secret is not None:
                    ask_for_stamps(dealer, secret)
                dealer.connect(f"tcp://127.0.0.1:{port}")
                dealer.send(b"")
                assert router.poll(10_000)
                assert secret_of(router.recv_multipart(copy=False)[1]) == secret


@pytest.mark.parametrize("value", [b"x" * 32, b"00" * 15, b"00" * 17, b"\xff" * 32, b"\0"])
def test_what_is_no_secret_asks_for_nothing(value):
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        port = router.bind_to_random_port("tcp://127.0.0.1")
        with context.socket(zmq.DEALER) as dealer:
            dealer.setsockopt(zmq.METADATA, b"X-Stamp:" + value)
            dealer.connect(f"tcp://127.0.0.1:{port}")
            dealer.send(b"")
            assert router.poll(10_000)
            with pytest.raises(ValueError):  # noqa: PT011  # of either kind
                secret_of(router.recv_multipart(copy=False)[1])
