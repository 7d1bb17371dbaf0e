from __future__ import annotations

import pytest

from pyacq_rpc import ProtocolError
from pyacq_rpc.wire.codecs import codec_named, codec_of, depth_of
from pyacq_rpc.wire.messages import Cancel, Claim, Move, Request, Target


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


CALL = {"obj": Target("@name", ["method"]), "args": [1, 3], "kwargs": {}}


class TestDepth:
    """It is told without reading the message."""

    @pytest.mark.parametrize("name", ["msgpack", "json"])
    @pytest.mark.parametrize("depth", [0, 1, 9, 10, 127])
    @pytest.mark.parametrize("context", [None, {"key": ",5]"}])
    @pytest.mark.parametrize(
        ("action", "options"),
        [("ping", {}), ("call_obj", CALL), ("call_obj", {**CALL, "kwargs": {"x": (1,)}})],
    )
    @pytest.mark.parametrize("number", [1, 10**6, 2**60])
    def test_of_a_request(self, name, number, action, options, context, depth):
        codec = codec_named(name)
        request = Request(number, action, "auto", options, context, depth)
        frames = codec.encode(request, refuse)
        assert depth_of(frames) == depth_of([memoryview(it) for it in frames]) == depth
        decoded = codec.decode(frames, refuse)
        assert (decoded.context, decoded.depth) == (context, depth)

    @pytest.mark.parametrize("name", ["msgpack", "json"])
    @pytest.mark.parametrize("message", [Cancel(2), Claim("ref", "token"), Move("token")])
    def test_others_have_none(self, name, message):
        assert depth_of(codec_named(name).encode(message, refuse)) is None

    def test_spaces_do_not_matter(self):
        assert depth_of([b'[ 2 , 1, "ping", "auto", {}, null, 12 ]\n']) == 12

    @pytest.mark.parametrize("frames", [[], [b""], [b"\x97"], [b"["], [b"garbage"]])
    def test_what_cannot_be_told_has_none_to_speak_of(self, frames):
        assert depth_of(frames) == 0

    @pytest.mark.parametrize(
        "message",
        [
            b"\xdc\x00\x05\x02\x01\xa4ping\xa3ack\x80",  # a longer head than it needs
            b"\x95\xcc\x02\x01\xa4ping\xa3ack\x80",
            b"[" + b" " * 20 + b'2,1,"ping","ack",{}]',
        ],
    )
    def test_a_request_that_is_written_in_an_odd_way_is_one(self, message):
        assert depth_of([message]) == 0
