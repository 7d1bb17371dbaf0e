from __future__ import annotations

import gc
import weakref
from decimal import Decimal
from enum import Enum
from fractions import Fraction

import pytest

from pyacq_rpc import (
    ProtocolError,
    SerializationError,
    ServerDisconnected,
    register_type,
    unregister_type,
)
from pyacq_rpc.wire.codecs import codec_named
from pyacq_rpc.wire.json_codec import JsonCodec
from pyacq_rpc.wire.messages import Reference, Result
from pyacq_rpc.wire.msgpack_codec import MsgpackCodec
from pyacq_rpc.wire.registry import Buffer, TypeRegistry
from pyacq_rpc.wire.values import Undecodable

REFERENCE = Reference("", "r", "s.1", "Thing", [], "")


@pytest.fixture
def types():
    types = TypeRegistry()
    types.register(
        Fraction,
        "fraction",
        encode=lambda f: (f.numerator, f.denominator),
        decode=lambda p: Fraction(*p),
    )
    return types


@pytest.fixture(params=[MsgpackCodec, JsonCodec])
def codec(request, types):
    return request.param(types)


def refer(obj):
    return REFERENCE


def through(codec, value, other=None):
    frames = codec.encode(Result(1, value), refer)
    return (other or codec).decode(frames, lambda reference: reference).value


@pytest.mark.parametrize("serializer", ["msgpack", "json"])
def test_a_type_in_three_lines(serializer):
    codec = codec_named(serializer)
    register_type(Decimal, "decimal", encode=str, decode=Decimal)
    try:
        assert through(codec, {"price": Decimal("1.10")}) == {"price": Decimal("1.10")}
    finally:
        unregister_type(Decimal)
    assert through(codec, Decimal("1.10")) == REFERENCE


def test_a_type_that_is_not_known_on_the_other_side(codec):
    """The message is still readable, so that its sender can be told."""
    with pytest.raises(Undecodable, match="register_type") as caught:
        through(codec, [1, Fraction(1, 2)], type(codec)(TypeRegistry()))
    assert caught.value.partial == Result(1, [1, None])
    assert type(caught.value.error) is SerializationError


def test_a_decoder_that_fails_spoils_its_own_message_only(codec, types):
    """The two sides may know the type differently: no fault of the connection."""
    types.register(Fraction, "fraction", encode=lambda f: 0, decode=lambda p: Fraction(1, p))
    with pytest.raises(Undecodable, match="ZeroDivisionError") as caught:
        through(codec, [Fraction(1), 2])
    assert caught.value.partial == Result(1, [None, 2])


def test_a_decoder_that_meets_a_dead_server_does_not_call_its_payload_malformed(codec, types):
    def decode(payload):
        raise ServerDisconnected("the server that it asked is gone")

    types.register(Fraction, "fraction", encode=str, decode=decode)
    with pytest.raises(Undecodable, match="the server that it asked is gone"):
        through(codec, Fraction(1, 2))


def test_a_decoder_may_call_its_payload_malformed(codec, types):
    def decode(payload):
        raise ProtocolError("no fraction")

    types.register(Fraction, "fraction", encode=str, decode=decode)
    with pytest.raises(ProtocolError, match="no fraction"):
        through(codec, Fraction(1))


def test_subclasses_only_if_asked_for(codec, types):
    class Half(Fraction):
        pass

    assert through(codec, Half(1, 2)) == REFERENCE
    types.register(Fraction, "fraction", str, Fraction, subclasses=True)
    assert through(codec, Half(1, 2)) == Fraction(1, 2)


def test_an_encoder_may_decline(codec, types):
    types.register(Fraction, "fraction", lambda f: NotImplemented, Fraction)
    assert through(codec, Fraction(1)) == REFERENCE


def test_what_an_encoder_raises_is_for_the_sender(codec, types):
    types.register(Fraction, "fraction", lambda f: 1 / 0, Fraction)
    with pytest.raises(ZeroDivisionError):
        through(codec, Fraction(1))


def test_a_name_is_one_class_only(types):
    with pytest.raises(ValueError, match="already registered"):
        types.register(Decimal, "fraction", str, Decimal)


def test_a_class_has_one_name_only(types):
    types.register(Fraction, "ratio", str, Fraction)
    with pytest.raises(SerializationError, match="not known here"):
        types.decode("fraction", "1/2")
    assert types.decode("ratio", "1/2") == Fraction(1, 2)


def test_unregistering_what_is_not_registered(types):
    with pytest.raises(KeyError):
        types.unregister(Decimal)


def test_a_missing_package_says_what_to_install():
    types = TypeRegistry({"imaginary": "pyacq_rpc.wire.imaginary_types"})
    with pytest.raises(SerializationError, match=r"pip install pyacq-rpc\[imaginary\]"):
        types.decode("imaginary.thing", None)


def test_a_missing_package_has_its_own_travel_by_proxy():
    """Somebody else's program has it, but not what we need to handle it."""
    types = TypeRegistry()
    types.add_plugin("pyacq_rpc.wire.imaginary_types", "imaginary", [Fraction.__module__])
    assert types.find(Fraction) is None
    with pytest.raises(SerializationError, match=r"pip install pyacq-rpc\[imaginary\]"):
        types.decode("fractions.Fraction", None)


class TestWhatWasFoundBefore:
    """It is kept, since most classes have no entry and come again and again."""

    def test_is_forgotten_when_a_type_is_registered(self, types):
        assert types.find(Decimal) is None
        types.register(Decimal, "decimal", str, Decimal)
        assert types.find(Decimal).name == "decimal"
        types.unregister(Decimal)
        assert types.find(Decimal) is None

    def test_is_forgotten_when_a_base_is_registered(self, types):
        class Price(Decimal):
            pass

        assert types.find(Price) is None
        types.register(Decimal, "decimal", str, Decimal, subclasses=True)
        assert types.find(Price).name == "decimal"

    def test_does_not_keep_a_class(self, types):
        class Local:
            pass

        assert types.find(Local) is None
        there = weakref.ref(Local)
        del Local
        gc.collect()
        assert there() is None


class TestKinds:
    @pytest.fixture
    def kinds(self, types):
        self.asked = []

        def belongs(cls):
            self.asked.append(cls)
            return issubclass(cls, Enum)

        types.register_kind(belongs, "enum", lambda member: member.name, str)
        return types

    def test_a_function_tells_what_belongs_to_one(self, codec, kinds):
        class Colour(Enum):
            RED = 1

        assert through(codec, [Colour.RED, Colour.RED]) == ["RED", "RED"]
        assert through(codec, Decimal(1)) == through(codec, Decimal(1)) == REFERENCE
        assert self.asked == [Colour, Decimal]

    def test_a_registered_class_goes_first(self, codec, kinds):
        class Colour(Enum):
            RED = 1

        kinds.register(Colour, "colour", lambda member: member.value, lambda value: value)
        assert through(codec, Colour.RED) == 1


def test_a_type_that_is_sent_as_another_one(codec, types):
    types.send_as(Decimal, "fraction", lambda decimal: decimal.as_integer_ratio())
    assert through(codec, Decimal("0.25")) == Fraction(1, 4)
    types.unregister(Decimal)
    assert through(codec, Decimal("0.25")) == REFERENCE
    assert through(codec, Fraction(1, 4)) == Fraction(1, 4)


def test_a_peer_cannot_have_a_module_imported():
    with pytest.raises(SerializationError, match="not known here"):
        TypeRegistry().decode("antigravity.thing", None)


class TestBuffer:
    def test_any_contiguous_memory_is_seen_as_bytes(self):
        wide = memoryview(bytearray(12)).cast("I", (3, 1))
        buffer = Buffer(wide)
        assert (buffer.data.format, buffer.data.ndim, buffer.data.nbytes) == ("B", 1, 12)
        buffer.data[0] = 7
        assert wide[0, 0] == int.from_bytes(bytes([7, 0, 0, 0]), __import__("sys").byteorder)

    def test_bytes_stay_what_they_are(self):
        data = memoryview(b"abc")
        assert Buffer(data).data is data

    def test_memory_with_gaps_is_refused(self):
        with pytest.raises(TypeError):
            Buffer(memoryview(bytes(10))[::2])
