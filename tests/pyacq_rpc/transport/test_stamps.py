"""Messages of which somebody leaves out frames, as libzmq then puts them together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pyacq_rpc.transport.stamps import Stamps, is_stamped, new_routing_id, unstamp

ROUTING_ID = new_routing_id()

DATA = st.binary(max_size=60) | st.sampled_from(
    [b"", ROUTING_ID[:15], Stamps(b"\x01" + bytes(15)).put([b"head"])[0]]
)

MESSAGES = st.lists(st.lists(DATA, min_size=1, max_size=4), max_size=6)


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
    stamps = Stamps(ROUTING_ID)
    stamped = [stamps.put(message) for message in messages]
    return [(at < len(one) - 1, data) for one in stamped for at, data in enumerate(one)]


@given(MESSAGES)
def test_messages_arrive_as_they_were(messages):
    arrived = received(sent(messages))
    assert all(unstamp(ROUTING_ID, message) for message in arrived)
    assert arrived == messages


@given(MESSAGES, st.data())
def test_whatever_is_left_out_none_arrives_that_was_not_sent(messages, data):
    frames = sent(messages)
    left = [frame for frame in frames if data.draw(st.booleans())]
    for message in received(left):
        assert not unstamp(ROUTING_ID, message) or message in messages


@given(st.lists(st.binary(max_size=60), min_size=1))
def test_what_is_not_stamped_is_not_right(frames):
    assert not unstamp(ROUTING_ID, [memoryview(frame) for frame in frames])


def test_a_stamp_alone_is_an_empty_message():
    (stamp,) = Stamps(ROUTING_ID).put([b""])
    frames = [memoryview(stamp)]
    assert unstamp(ROUTING_ID, frames)
    assert frames == [b""]
    assert not unstamp(ROUTING_ID, [memoryview(stamp)[:-1]])


def test_what_routing_ids_ask_for_stamps():
    assert is_stamped(ROUTING_ID)
    assert new_routing_id() != ROUTING_ID
    for other in (b"", b"camera", bytes(16), bytes(5), b"\x01" * 15, b"\x01" * 17):
        assert not is_stamped(other)
