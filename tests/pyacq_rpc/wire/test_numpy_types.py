from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from strategies import arrays, dtypes, numpy_scalars, same

from pyacq_rpc import ProtocolError, SerializationError
from pyacq_rpc.wire.codecs import codec_named
from pyacq_rpc.wire.messages import Reference, Result
from pyacq_rpc.wire.msgpack_codec import MsgpackCodec
from pyacq_rpc.wire.numpy_types import lower_dtype, raise_dtype
from pyacq_rpc.wire.registry import registry

REFERENCE = Reference("", "r", "s.1", "ndarray", [], "")
SETTINGS = settings(max_examples=150, suppress_health_check=list(HealthCheck))


def refuse(obj):
    raise AssertionError(f"{obj!r} was to travel by value")


@pytest.fixture(params=["msgpack", "json"])
def codec(request):
    return codec_named(request.param)


def through(codec, value, refer=refuse):
    frames = [bytes(frame) for frame in codec.encode(Result(1, value), refer)]
    return codec.decode(frames, lambda reference: reference).value


@pytest.mark.parametrize("serializer", ["msgpack", "json"])
@SETTINGS
@given(array=arrays())
def test_arrays_of_every_dtype_and_layout(serializer, array):
    arrived = through(codec_named(serializer), array)
    assert same(array, arrived)
    assert arrived.flags.writeable


@pytest.mark.parametrize("serializer", ["msgpack", "json"])
@SETTINGS
@given(scalar=numpy_scalars)
def test_scalars(serializer, scalar):
    assert same(scalar, through(codec_named(serializer), scalar))


@SETTINGS
@given(dtype=dtypes)
def test_dtypes(dtype):
    arrived = raise_dtype(lower_dtype(dtype))
    assert dtype == arrived
    assert arrived.isalignedstruct == dtype.isalignedstruct


@pytest.mark.parametrize(
    "dtype",
    [
        np.dtype({"names": ["a", "b"], "formats": ["i4", "u1"], "offsets": [4, 4]}),  # a union
        np.dtype({"names": ["a"], "formats": ["i4"], "itemsize": 32}),
        np.dtype({"names": ["a"], "formats": ["i4"], "titles": ["A"]}),
        np.dtype({"names": [], "formats": [], "itemsize": 8}),
        np.dtype([]),
        np.dtype([("a", [("b", ">f8", (2, 3))], 4)]),
        np.dtype("M8"),
        np.dtype("m8[25us]"),
        np.dtype("S0"),
        np.dtype(np.longdouble),
        np.dtype(np.clongdouble),
    ],
    ids=str,
)
def test_unusual_dtypes(codec, dtype):
    assert dtype == raise_dtype(lower_dtype(dtype))
    for shape in ((), (3,), (0, 2)):
        array = np.ndarray(shape, dtype, bytearray(3000))
        assert same(array, through(codec, array))


def test_small_and_large_arrays_arrive_writable(codec):
    for size in (1, 100_000):
        array = through(codec, np.zeros(size))
        array[0] = 1


def test_a_large_array_is_sent_without_a_copy():
    array = np.arange(10_000.0)
    _, frame = MsgpackCodec().encode(Result(1, array), refuse)
    assert np.shares_memory(array, np.frombuffer(frame))


def test_a_fortran_array_is_sent_without_a_copy():
    array = np.asfortranarray(np.ones((100, 200)))
    _, frame = MsgpackCodec().encode(Result(1, array), refuse)
    assert np.shares_memory(array, np.frombuffer(frame))
    assert through(MsgpackCodec(), array).flags.f_contiguous


def test_a_frame_that_may_be_written_to_becomes_the_array():
    head, frame = MsgpackCodec().encode(Result(1, np.ones(10_000)), refuse)
    received = memoryview(bytearray(frame))
    array = MsgpackCodec().decode([head, received], refuse).value
    assert np.shares_memory(array, np.frombuffer(received))


def test_a_small_array_has_no_frame_of_its_own():
    assert len(MsgpackCodec().encode(Result(1, np.zeros(512)), refuse)) == 1
    assert len(MsgpackCodec().encode(Result(1, np.zeros(513)), refuse)) == 2


class Tagged(np.ndarray):
    pass


@pytest.mark.parametrize(
    "array",
    [
        np.array([object()]),
        np.zeros(2, [("a", "i4"), ("b", "O")]),
        np.zeros(2, np.dtype("i4", metadata={"unit": "V"})),
        np.zeros(2, np.dtype({"names": ["a"], "formats": ["i4"], "titles": [("t",)]})),
        np.ma.masked_array([1, 2], [True, False]),
        np.zeros(2).view(Tagged),
    ],
    ids=lambda array: f"{type(array).__name__}-{array.dtype}",
)
def test_what_would_not_survive_travels_by_reference(codec, array):
    sent = []
    arrived = through(codec, [array], refer=lambda obj: (sent.append(obj), REFERENCE)[1])
    assert sent[0] is array
    assert arrived == [REFERENCE]


def test_a_subarray_of_what_cannot_travel_cannot_either():
    assert lower_dtype(np.dtype([("a", "O", (2,))])) is None
    assert lower_dtype(np.dtype(("O", (2,)))) is None


@pytest.mark.parametrize(
    "lowered",
    [
        None,
        5,
        "O",
        "|O",
        "f8",
        "<f8,<f8",
        "<f8\n",
        "<f3",
        "(2,3)<f8",
        "<f8" * 1000,
        "float64",
        "<U999999999",
        "|S9999999999",
        "<M8[parsec]",
        "<M8[0s]",
        "__import__('os')",
        [],
        ["array"],
        ["array", "<f8", "ab"],
        ["array", "<f8", [-1]],
        ["array", "<f8", [True]],
        ["array", "<f8", [2**40]],
        ["array", "|O", [1]],
        ["array", "<f8", [1] * 100],
        ["struct", [], -1, False],
        ["struct", [], 2**40, False],
        ["struct", [], 0],
        ["struct", [], 8.0, False],
        ["struct", "abcd", 8, False],
        ["struct", ["abcd"], 8, False],
        ["struct", [["a", "<f8", -8, None]], 8, False],
        ["struct", [["a", "<f8", 1, None]], 8, False],
        ["struct", [["a", "<f8", True, None]], 16, False],
        ["struct", [["a", "<f8", 4, None]], 16, True],
        ["struct", [["a", "<f8", 0, 5]], 8, False],
        ["struct", [["a", "|O", 0, None]], 8, False],
        ["struct", [[1, "<f8", 0, None]], 8, False],
        ["struct", [["a", "<f8", 0, None], ["a", "<f8", 0, None]], 8, False],
        ["union", [], 0, False],
        {"names": ["a"]},
    ],
    ids=repr,
)
def test_a_dtype_that_was_never_sent_is_refused(lowered):
    """By the parser, or by numpy, never by taking it for something else."""
    with pytest.raises((ProtocolError, ValueError, TypeError, OverflowError)):
        raise_dtype(lowered)


@pytest.mark.parametrize(
    "payload",
    [
        None,
        [],
        ["<f8", [1], "C", b"1234567"],
        ["<f8", [1], "C", b"123456789"],
        ["<f8", [1], "K", b"12345678"],
        ["<f8", [1], "C", 8],
        ["<f8", [1], "C", "12345678"],
        ["<f8", [-1], "C", b""],
        ["<f8", [1.0], "C", b"12345678"],
        ["<f8", 1, "C", b"12345678"],
        ["<f8", [1] * 100, "C", b"12345678"],
        ["<f8", [2**62, 2**62], "C", b""],
        ["<f8", [2**40, 2**40, 0], "C", b""],
        ["|S0", [2**61, 2**61], "C", b""],
    ],
    ids=repr,
)
def test_a_malformed_array_spoils_its_own_message_at_most(payload):
    codec = MsgpackCodec()
    fake = type("Fake", (), {})
    codec._types.register(fake, "numpy.fake", lambda _: payload, lambda _: None)
    try:
        frames = codec.encode(Result(1, fake()), refuse)
    finally:
        codec._types.unregister(fake)
    frames[0] = frames[0].replace(b"\xaanumpy.fake", b"\xadnumpy.ndarray")
    with pytest.raises((ProtocolError, SerializationError)):
        codec.decode(frames, refuse)


@pytest.mark.parametrize("shape", [[0, 10**9], [10**9, 0], [2**30, 2**30, 0]])
def test_an_empty_array_takes_no_memory_whatever_its_shape(shape):
    """What does not fit in memory if it had no zero in it is an error, or takes nothing."""
    try:
        array = registry.decode("numpy.ndarray", ["|u1", shape, "C", b""])
    except ValueError:
        return
    assert array.shape == tuple(shape)
