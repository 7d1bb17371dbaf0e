from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyacq_rpc import ProtocolError
from pyacq_rpc.wire.batches import cost_of, pack_frames, promised, unpack_frames
from pyacq_rpc.wire.codecs import codec_named
from pyacq_rpc.wire.messages import Request, Result, Target
from pyacq_rpc.wire.registry import Buffer

LARGE = bytes(5000)


def encoded(packed, serializer):
    """The frames of a message with one answer in it."""
    return codec_named(serializer).encode(Result(1, [packed]), None)


def test_a_small_message_is_its_bytes():
    assert pack_frames([b"head"], 10) == ([b"head"], 0)


def test_large_frames_become_frames_of_the_message_that_they_are_in():
    packed, used = pack_frames([b"head", memoryview(LARGE), LARGE], 10)
    assert [type(frame) for frame in packed] == [bytes, Buffer, Buffer]
    assert used == 2


def test_what_is_more_than_that_may_have_is_written_within():
    packed, used = pack_frames([b"head", LARGE, LARGE], 1)
    assert [type(frame) for frame in packed] == [bytes, Buffer, bytes]
    assert used == 1


def test_data_is_copied_since_it_may_change_before_it_is_sent():
    data = bytearray(LARGE)
    packed, _ = pack_frames([b"head", memoryview(data)], 10)
    data[0] = 1
    assert bytes(packed[1].data) == LARGE


@pytest.mark.parametrize("serializer", ["msgpack", "json"])
@given(frames=st.lists(st.binary(max_size=20_000), min_size=1, max_size=4), own=st.integers(0, 4))
def test_the_cost_of_an_answer_is_never_less_than_what_it_takes(serializer, frames, own):
    packed, _ = pack_frames(frames, own)
    empty = sum(map(len, encoded([], serializer)))
    assert sum(map(len, encoded(packed, serializer))) - empty <= cost_of(packed, serializer)


@pytest.mark.parametrize("serializer", ["msgpack", "json"])
def test_what_is_packed_is_unpacked(serializer):
    codec = codec_named(serializer)
    inner = Request(7, "get_obj", "auto", {"obj": Target("#3", ["a"])})
    packed, _ = pack_frames(codec.encode(inner, None), 10)
    ((received,),) = (codec.decode(encoded(packed, serializer), None).value,)
    assert codec.decode(unpack_frames(received), None) == inner


@pytest.mark.parametrize("wrong", [None, [], b"x", "x", ["x"], [b"x", None], {"a": 1}, [[b"x"]]])
def test_what_are_no_frames_is_refused(wrong):
    with pytest.raises(ProtocolError, match="a message"):
        unpack_frames(wrong)


def test_what_is_promised_is_named_by_the_request():
    assert promised(12).ref == "#12"
    assert set(promised(12)._replace(ref="", attributes="")) == {""}
