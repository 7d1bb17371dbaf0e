from __future__ import annotations

import json

import pytest

from pyacq_rpc import ProtocolError, SerializationError
from pyacq_rpc.wire.json_codec import JsonCodec
from pyacq_rpc.wire.messages import Cancel, Result


def refuse(obj):
    raise SerializationError("refused")


def decode(text):
    head = text if isinstance(text, bytes) else text.encode()
    return JsonCodec().decode([head], lambda reference: reference)


def test_a_foreign_writer_is_understood():
    """White space, text in UTF-8, and a language that has no other 1.0 than 1."""
    assert decode('[ 3, 1, {"é": [{"$complex": [1, 0]}, 1.5e0]} ]') == Result(
        1, {"é": [1 + 0j, 1.5]}
    )


def test_the_text_is_plain_ascii():
    (head,) = JsonCodec().encode(Result(1, "é\ud800😀"), refuse)
    assert head.isascii()
    assert json.loads(head) == [3, 1, "é\ud800😀"]


def test_a_memoryview_is_as_good_as_bytes():
    assert JsonCodec().decode([memoryview(b"[9,7]")], refuse) == Cancel(7)


@pytest.mark.parametrize(
    "value",
    [
        '{"$nonsense":[]}',
        '{"$tuple":1}',
        '{"$tuple":{}}',
        '{"$tuple":[],"a":1}',
        '{"a":1,"$tuple":[]}',
        '{"$":[]}',
        '{"a":1,"a":2}',
        '{"$dict":[["a"]]}',
        '{"$dict":["ab"]}',
        '{"$set":[[]]}',
        '{"$bytes":["*"]}',
        '{"$bytes":["YQ"]}',
        '{"$bytes":[{"$bytes":["YQ=="]}]}',
        '{"$bytes":["é"]}',
        '{"$bytes":["YQ==","YQ=="]}',
        '{"$bytes":[1]}',
        '{"$float":["1"]}',
        '{"$float":[1]}',
        '{"$float":["nan","nan"]}',
        '{"$float":[]}',
        '{"$float":[[]]}',
        '{"$float":[{"$type":["numpy.ndarray",["<f8",[1],"C",{"$bytes":["AAAAAAAAAAA="]}]]}]}',
        '{"$str":[1]}',
        '{"$int":["1"]}',
        '{"$bytearray":[1000000000]}',
        '{"$buffer":[0]}',
        '{"$buffer":[1]}',
        '{"$complex":["1"]}',
        "NaN",
        "-Infinity",
        "1" * 5000,
        "-" + "1" * 5000,
        "1" + "0" * 100_000,
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"$tuple":[' * 10_000,
        "1,2",
        "",
        "1]]",
        '"\n"',
    ],
    ids=lambda text: text[:30],
)
def test_a_malformed_value_breaks_the_protocol(value):
    with pytest.raises(ProtocolError):
        decode(f"[3,1,{value}]")


@pytest.mark.parametrize(
    "head",
    [b"", b"[", b"[9,7", b"\xff", "[9,7]".encode("utf-16-le"), b"[9,7]\0", b'[3,1,"\xff"]'],
)
def test_bytes_that_are_no_message_break_the_protocol(head):
    with pytest.raises(ProtocolError):
        decode(head)


def test_frames_other_than_one_break_the_protocol():
    for frames in ([], [b"[9,7]", b""]):
        with pytest.raises(ProtocolError):
            JsonCodec().decode(frames, refuse)


def test_a_float_out_of_range_is_infinite():
    """As everywhere in JSON."""
    assert decode("[3,1,1e999]").value == float("inf")


def test_a_number_of_many_digits_is_read_in_little_time():
    value = 10**100_000
    frames = JsonCodec().encode(Result(1, value), refuse)
    assert value == JsonCodec().decode(frames, refuse).value
