from __future__ import annotations

import datetime
import gc
import math
import weakref
import zoneinfo

import pytest
from hypothesis import HealthCheck, given, settings
from strategies import Point, Reading, same, values

from pyacq_rpc import ProtocolError, SerializationError
from pyacq_rpc.wire.codecs import codec_named
from pyacq_rpc.wire.json_codec import JsonCodec
from pyacq_rpc.wire.messages import Reference, Result, Target
from pyacq_rpc.wire.msgpack_codec import MsgpackCodec
from pyacq_rpc.wire.registry import Buffer, TypeRegistry
from pyacq_rpc.wire.values import MAX_DEPTH, TAGS, Raising, Undecodable

REFERENCE = Reference("tcp://127.0.0.1:5", "r", "s.1", "Thing", [], "")


class Thing:
    pass


def refuse(obj):
    raise AssertionError(f"{obj!r} was to travel by value")


def resolve(reference):
    return reference


@pytest.fixture(params=["msgpack", "json"])
def codec(request):
    return codec_named(request.param)


def through(codec, value, refer=refuse, resolve=resolve):
    frames = [bytes(frame) for frame in codec.encode(Result(1, value), refer)]
    return codec.decode(frames, resolve).value


@pytest.mark.parametrize("serializer", ["msgpack", "json"])
@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(value=values)
def test_values_arrive_as_they_left(serializer, value):
    """Type, value and nesting are kept by both serializers."""
    assert same(value, through(codec_named(serializer), value))


@pytest.mark.parametrize(
    "value",
    [
        2**63 - 1,
        2**64,
        -(2**63) - 1,
        10**4999,
        -(10**4999),
        math.nan,
        -0.0,
        complex(math.inf, -0.0),
        "\ud83d\ude00",  # two halves, not the one character that they would make
        "\ud83d😀\ude00\udc00",
        {"$tuple": [1]},
        {"\ud83d\ude00": 1},
        {1: "a", "1": "b", (1, 2): "c", None: "d"},
        {True: [], 2.5: {}},
        (),
        [(), [()], ((),)],
        {1, (2, frozenset({3}))},
        slice(None, 3, [1]),
        range(10**30, 0, -7),
        NotImplemented,
        Point(1, [Reading("a", 2.5)]),
        datetime.datetime.min,
        datetime.datetime.max,
        datetime.timedelta.min,
        datetime.time(1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")),
        datetime.datetime(2020, 10, 25, 2, 30, fold=1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")),
        datetime.datetime(
            2020, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(seconds=-1, microseconds=5))
        ),
        datetime.time(1, tzinfo=datetime.timezone(datetime.timedelta(0), "GMT")),
        bytearray(b"\0" * 10_000),
    ],
    ids=lambda value: type(value).__name__,
)
def test_corners(codec, value):
    assert same(value, through(codec, value))


def test_a_zone_of_somebody_elses_class_arrives_as_its_offset(codec):
    class Zone(datetime.tzinfo):
        def utcoffset(self, dt):
            return datetime.timedelta(hours=3)

        def tzname(self, dt):
            return None

    arrived = through(codec, datetime.time(1, tzinfo=Zone()))
    assert arrived.tzinfo == datetime.timezone(datetime.timedelta(hours=3))


def test_a_time_whose_zone_has_no_offset_is_refused(codec):
    class Zone(datetime.tzinfo):
        def utcoffset(self, dt):
            return None

    with pytest.raises(SerializationError, match="no offset"):
        through(codec, datetime.time(1, tzinfo=Zone()))


def test_subclasses_of_values_travel_by_proxy(codec):
    """A subclass has behaviour of its own, which a copy would lose."""

    class Words(list):
        pass

    sent = []
    words = Words("ab")
    arrived = through(codec, [words], refer=lambda obj: (sent.append(obj), REFERENCE)[1])
    assert sent == [words]
    assert arrived == [REFERENCE]


class TestReferences:
    def test_objects_travel_by_reference_inside_containers(self, codec):
        thing, sent = Thing(), []

        def refer(obj):
            sent.append(obj)
            return REFERENCE._replace(attributes=["a", "b"], token="t\ud800")

        arrived = through(codec, {"deep": ({1: thing},)}, refer=refer)
        assert sent == [thing]
        reference = arrived["deep"][0][1]
        assert type(reference) is Reference
        assert reference == refer(thing)

    def test_a_reference_is_sent_as_it_is(self, codec):
        assert through(codec, REFERENCE) == REFERENCE

    def test_what_resolve_returns_is_what_arrives(self, codec):
        assert through(codec, [REFERENCE], resolve=lambda _: 42) == [42]

    def test_a_reference_that_cannot_be_resolved_leaves_the_rest_readable(self, codec):
        def resolve(reference):
            raise LookupError("gone")

        with pytest.raises(Undecodable) as caught:
            through(codec, [1, REFERENCE, 2], resolve=resolve)
        assert caught.value.partial == Result(1, [1, None, 2])
        assert type(caught.value.error) is LookupError

    @pytest.mark.parametrize(
        "items",
        [
            [],
            list(REFERENCE)[:-1],
            [*REFERENCE, ""],
            list(REFERENCE._replace(ref=1)),
            list(REFERENCE._replace(attributes="ab")),
            list(REFERENCE._replace(attributes=[1])),
        ],
    )
    def test_malformed_ones_break_the_protocol(self, items):
        with pytest.raises(ProtocolError):
            Raising(resolve, TypeRegistry(), [b""])("proxy", items)

    def test_a_target_is_a_plain_list(self, codec):
        assert through(codec, Target("r", ["a"])) == ["r", "a"]


class TestDepth:
    def test_what_contains_itself_is_refused(self, codec):
        for value in ([], {}):
            value.append(value) if type(value) is list else value.update(me=value)
            with pytest.raises(SerializationError, match="contains itself"):
                through(codec, value)

    def test_all_depths_up_to_the_limit_arrive(self, codec):
        # The message's own fields are one level.
        for wrap in (lambda v: [v], lambda v: (v,), lambda v: {1: v}, lambda v: Point(v, 1)):
            value = 1
            for _ in range((MAX_DEPTH - 1) // 2):
                value = wrap(value)
            assert value == through(codec, value)


def big(data):
    return Buffer(memoryview(data))


class TestBuffers:
    def test_large_ones_are_frames_of_their_own_without_a_copy(self):
        data = bytearray(10_000)
        head, frame = MsgpackCodec().encode(Result(1, big(data)), refuse)
        data[0] = 7
        assert frame[0] == 7
        assert len(head) < 50

    def test_small_ones_stay_inside(self):
        (head,) = MsgpackCodec().encode(Result(1, big(bytes(4096))), refuse)
        assert len(head) > 4096

    def test_each_frame_arrives_where_it_left(self):
        frames = MsgpackCodec().encode(Result(1, [big(b"a" * 5000), big(b"b" * 6000)]), refuse)
        a, b = MsgpackCodec().decode(frames, resolve).value
        assert (bytes(a), bytes(b)) == (b"a" * 5000, b"b" * 6000)

    def test_what_arrives_is_the_frame_itself(self):
        frames = MsgpackCodec().encode(Result(1, big(b"a" * 5000)), refuse)
        assert MsgpackCodec().decode(frames, resolve).value is frames[1]

    def test_json_has_one_frame(self):
        (head,) = JsonCodec().encode(Result(1, big(bytes(5000))), refuse)
        assert bytes(5000) == JsonCodec().decode([head], resolve).value

    @pytest.mark.parametrize("index", [0, -1, 2, "1", True, None])
    def test_a_frame_that_did_not_come_breaks_the_protocol(self, index):
        with pytest.raises(ProtocolError):
            Raising(resolve, TypeRegistry(), [b"", b"x"])("buffer", [index])

    def test_two_buffers_may_not_share_a_frame(self):
        """Else one frame could be copied a thousand times for the asking."""
        raising = Raising(resolve, TypeRegistry(), [b"", b"x"])
        raising("buffer", [1])
        with pytest.raises(ProtocolError, match="same frame"):
            raising("buffer", [1])

    def test_a_frame_that_nothing_refers_to_breaks_the_protocol(self, codec):
        frames = [*codec.encode(Result(1, None), refuse), b"stray"]
        with pytest.raises(ProtocolError, match="nothing in the message refers to"):
            codec.decode(frames, resolve)


class TestMalformed:
    @pytest.mark.parametrize(
        ("tag", "items"),
        [
            ("bytearray", [10**9]),  # would take that many bytes
            ("bytearray", ["a"]),
            ("bytearray", [[1, 2]]),
            ("int", [5]),
            ("int", ["a"]),
            ("int", []),
            ("complex", ["1"]),
            ("complex", ["1", 2.0]),
            ("complex", [True, 1.0]),
            ("complex", [10**400, 1.0]),
            ("range", [1, 2]),
            ("range", [1, 2, 0]),
            ("range", [1.0, 2, 3]),
            ("range", [True, 2, 3]),
            ("slice", [1]),
            ("slice", [1, 2, 3, 4]),
            ("set", [[]]),
            ("frozenset", [{}]),
            ("dict", ["ab"]),
            ("dict", [[1]]),
            ("dict", [[[], 1]]),
            ("dict", [(1, 2)]),
            ("date", [b"\x07\xe4\x01\x01"]),  # the form that pickle uses
            ("date", [0, 1, 1]),
            ("date", [2020, 2, 30]),
            ("date", [10**400, 1, 1]),
            ("datetime", [b"\x07\xe4\x01\x01\0\0\0\0\0\0"]),
            ("datetime", [2020, 1, 1, 0, 0, 0, 0, 2, None]),
            ("datetime", [2020, 1, 1, 0, 0, 0, 0, 0, 3]),
            ("datetime", [2020, 1, 1, 0, 0, 0, 0, 0, "../../etc/passwd"]),
            ("datetime", [2020, 1, 1, 0, 0, 0, 0, 0, "/etc/passwd"]),
            ("datetime", [2020, 1, 1, 0, 0, 0, 0, 0, "a\0b"]),
            ("time", [0, 0, 0, 0, 0, [1, 0, 0, "x"]]),
            ("time", [0, 0, 0, 0, 0, [0, 1.5, 0, "x"]]),
            ("time", [0, 0, 0, 0, 0, [0, 0, 0, 5]]),
            ("time", [0, 0, 0, 0, 0, [0, 0]]),
            ("timedelta", [10**10, 0, 0]),
            ("timedelta", [0.5, 0, 0]),
            ("ellipsis", [1]),
            ("notimplemented", [1]),
            ("type", ["x"]),
            ("type", [1, 2]),
            ("type", [[], 2]),
            ("buffer", []),
            ("nonsense", []),
            ("float", ["nan"]),  # JSON's own
        ],
    )
    def test_items_that_do_not_fit_the_tag_break_the_protocol(self, tag, items):
        with pytest.raises(ProtocolError):
            Raising(resolve, TypeRegistry(), [b""])(tag, items)

    @pytest.mark.parametrize("key", ["Nowhere/Atlantis", "America", "a" * 300, "\ud800"])
    def test_a_zone_that_is_not_known_here_is_nobodys_fault(self, key):
        raising = Raising(resolve, TypeRegistry(), [b""])
        at = raising("time", [0, 0, 0, 0, 0, key])
        assert at is None
        with pytest.raises(Undecodable, match="time zone"):
            raising.finish([3, 1, at])

    def test_every_tag_is_known(self):
        assert len(set(TAGS)) == len(TAGS)


def test_nothing_outlives_the_message(codec):
    """Encoding and decoding make no reference cycles: what they held is free at once."""
    thing = Thing()
    gone = weakref.ref(thing)
    gc.disable()
    try:
        through(codec, [thing], refer=lambda _: REFERENCE)
        del thing
        assert gone() is None
    finally:
        gc.enable()
