from __future__ import annotations

import datetime

import msgpack
import pytest

from pyacq_rpc import ProtocolError, SerializationError
from pyacq_rpc.wire.messages import Cancel, Result
from pyacq_rpc.wire.msgpack_codec import MsgpackCodec
from pyacq_rpc.wire.values import TAGS


def refuse(obj):
    raise SerializationError("refused")


def mark(tag):
    return msgpack.ExtType(TAGS.index(tag), b"")


def decode(fields):
    head = fields if isinstance(fields, bytes) else msgpack.packb(fields, strict_types=True)
    return MsgpackCodec().decode([head], lambda reference: reference)


def test_a_foreign_packer_is_understood():
    assert decode([3, 1, [mark("tuple"), 1, [mark("set"), 2]]]) == Result(1, (1, {2}))


def test_a_timestamp_of_messagepacks_own_is_a_datetime():
    at = datetime.datetime(2020, 1, 2, tzinfo=datetime.timezone.utc)
    assert decode([3, 1, msgpack.Timestamp.from_datetime(at)]) == Result(1, at)


def test_a_memoryview_is_as_good_as_bytes():
    assert MsgpackCodec().decode([memoryview(b"\x92\x09\x07")], refuse) == Cancel(7)


@pytest.mark.parametrize(
    "value",
    [
        mark("tuple"),
        [1, mark("tuple")],
        [[1], mark("tuple"), 2],
        {"a": mark("tuple")},
        {"a": [mark("tuple"), mark("set")]},
        [mark("tuple"), mark("tuple")],
        [mark("dict"), [mark("set"), 1]],
        msgpack.ExtType(len(TAGS), b""),
        msgpack.ExtType(127, b""),
        msgpack.ExtType(0, b"data"),
        [msgpack.ExtType(0, b"data")],
    ],
    ids=repr,
)
def test_a_mark_in_a_wrong_place_breaks_the_protocol(value):
    with pytest.raises(ProtocolError):
        decode([3, 1, value])


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\x92\x09",
        b"\x92\x09\x07\x00",
        b"\xc1",
        b"\x93\x03\x01\xdd\xff\xff\xff\xff",
        b"\x93\x03\x01\xdf\xff\xff\xff\xff",
        b"\x93\x03\x01\xc6\xff\xff\xff\xff",
        b"\x93\x03\x01\xa1\xff",
        b"\x93\x03\x01\x81\x90\x01",  # a list as a key
        b"\x93\x03\x01" + b"\x91" * 5000 + b"\x00",
        b"\x93\x03\x01" + (b"\xdd" + (10**6).to_bytes(4, "big")) * 900,
        b"\x93\x03\x01\xd7\xff" + b"\xff" * 8,  # a timestamp out of range
        b"\x93\x03\x01\xc7\x03\xff\x00\x00\x00",
    ],
    ids=lambda head: head[:8].hex(),
)
def test_bytes_that_are_no_message_break_the_protocol(head):
    with pytest.raises(ProtocolError):
        decode(head)


def test_no_frame_at_all_breaks_the_protocol():
    with pytest.raises(ProtocolError):
        MsgpackCodec().decode([], refuse)


def test_deep_tuples_are_read_or_refused():
    """As deep as they may come, they neither crash nor break anything but the message."""
    for depth in (100, 500, 1000):
        head = b"\x93\x03\x01" + b"\x92\xc7\x00\x00" * depth + b"\x91\xc7\x00\x00"
        try:
            value = decode(head).value
        except ProtocolError:
            continue
        assert hash(value) == hash(value)


def test_a_failed_message_leaves_the_codec_good():
    codec = MsgpackCodec()
    for bad in ([1, object()], ["\ud800", object()], [2**70, object()]):
        with pytest.raises(SerializationError):
            codec.encode(Result(1, bad), refuse)
    assert codec.encode(Cancel(7), refuse) == [b"\x92\x09\x07"]


def test_lone_surrogates_travel():
    for text in ("\ud800", {"\udfff": ["\ud83d\ude00"]}):
        frames = MsgpackCodec().encode(Result(1, text), refuse)
        assert text == MsgpackCodec().decode(frames, refuse).value
