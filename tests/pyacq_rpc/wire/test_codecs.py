from __future__ import annotations

import pytest

from pyacq_rpc import ProtocolError
from pyacq_rpc.wire.codecs import codec_named, codec_of
from pyacq_rpc.wire.messages import Cancel


def refuse(obj):
    raise AssertionError(obj)


@pytest.mark.parametrize("name", ["msgpack", "json"])
def test_a_message_tells_its_serializer(name):
    frames = codec_named(name).encode(Cancel(7), refuse)
    assert codec_of(frames).name == name
    assert codec_of([memoryview(frame) for frame in frames]).name == name


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match="msgpack, json"):
        codec_named("pickle")


@pytest.mark.parametrize("frames", [[], [b""], [b"\x80\x04."], [b" [9,7]"], [b"{}"], [b"\xdc\0\0"]])
def test_other_bytes_break_the_protocol(frames):
    with pytest.raises(ProtocolError, match="unknown serializer"):
        codec_of(frames)
