from __future__ import annotations

import pytest

from pyacq_rpc import ProtocolError
from pyacq_rpc.wire.messages import (
    ACTIONS,
    REPLIES,
    Cancel,
    Claim,
    Failure,
    Goodbye,
    Grant,
    Hello,
    Move,
    Release,
    Request,
    Result,
    Target,
    Welcome,
    Withdraw,
    pack_fields,
    parse,
)

OPTIONS = {
    "call_obj": {"obj": Target("r", ["a"]), "args": [1], "kwargs": {"x": 1}},
    "notify": {"obj": Target("r", ["a"]), "args": [1]},
    "get_obj": {"obj": Target("@name", [])},
    "get_item": {"name": "n"},
    "set_item": {"name": "n", "value": None},
    "delete": {"obj_id": "s.1", "ref_id": "r"},
    "import": {"module": "os"},
    "transfer": {"obj": 1},
    "iterate": {"obj": Target("r", []), "backwards": False, "room": 100},
    "fetch": {"obj": Target("r", []), "at": 0, "room": 100},
    "batch": {"requests": [[b"x"]], "unread": [1]},
    "ping": {},
    "time": {},
    "close": {},
    "status": {},
    "stats": {},
    "interrupt": {"request": None},
    "names": {},
}
MESSAGES = [
    Hello(1, "peer", {}),
    Welcome(1, "server", {"name": "x"}),
    *(Request(1, action, "auto", options) for action, options in OPTIONS.items()),
    *(Request(1, "ping", reply, {}) for reply in REPLIES),
    Result(1, {"any": "thing"}),
    Failure(1, "exception", "KeyError", ["KeyError"], "'x'", ["x"], "..."),
    Failure(None, "protocol", "", [], "", None, ""),
    Release(["a", "b"]),
    Grant("r", "t"),
    Claim("r", "t"),
    Withdraw("t"),
    Cancel(1),
    Goodbye("why"),
    Move("t"),
]


def as_read(message):
    """The fields as a codec reads them: a target is a plain list by then."""
    fields = pack_fields(message)
    return [
        {
            name: [value.ref, *value.attributes] if type(value) is Target else value
            for name, value in field.items()
        }
        if type(field) is dict
        else field
        for field in fields
    ]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_what_is_packed_is_parsed(message):
    assert message == parse(as_read(message))
    assert type(message) is type(parse(as_read(message)))


def test_every_action_is_tried_here():
    assert OPTIONS.keys() == ACTIONS.keys()


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
@pytest.mark.parametrize("wrong", [b"", 1.5, True, (), ...], ids=repr)
def test_a_field_of_another_type_breaks_the_protocol(message, wrong):
    for place in range(1, len(as_read(message))):
        fields = as_read(message)
        if isinstance(message, Result) and place == 2:
            continue
        fields[place] = wrong
        with pytest.raises(ProtocolError):
            parse(fields)


class TestTheDepthOfARequest:
    @staticmethod
    def fields(depth, context=None):
        return [2, 7, "ping", "auto", {}, context, depth]

    @pytest.mark.parametrize("context", [None, {"a": "b"}])
    @pytest.mark.parametrize("depth", [1, 127])
    def test_it_is_the_last_field(self, context, depth):
        request = Request(7, "ping", "auto", {}, context, depth)
        assert pack_fields(request) == self.fields(depth, context)
        assert parse(pack_fields(request)) == request

    @pytest.mark.parametrize("context", [None, {"a": "b"}])
    def test_none_is_left_out(self, context):
        request = Request(7, "ping", "auto", {}, context, 0)
        assert pack_fields(request) == [2, 7, "ping", "auto", {}, *([context] if context else [])]
        assert parse(pack_fields(request)).depth == 0

    @pytest.mark.parametrize("wrong", [None, 0, -1, 128, 2**70, True, 1.0, "1", [], {}])
    def test_anything_else_breaks_the_protocol(self, wrong):
        with pytest.raises(ProtocolError, match="a depth is an integer from 1 to 127") as caught:
            parse(self.fields(wrong))
        assert caught.value.request_id == 7

    def test_there_is_nothing_behind_it(self):
        with pytest.raises(ProtocolError):
            parse([*self.fields(1), 1])


class TestTheContextOfARequest:
    @staticmethod
    def fields(context, options=None):
        return [2, 7, "ping", "auto", {} if options is None else options, context]

    def test_it_is_the_last_field(self):
        request = Request(7, "ping", "auto", {}, {"traceparent": "00-1-2-01"})
        assert pack_fields(request) == self.fields({"traceparent": "00-1-2-01"})
        assert parse(pack_fields(request)) == request

    @pytest.mark.parametrize("nothing", [None, {}])
    def test_none_is_left_out(self, nothing):
        assert pack_fields(Request(7, "ping", "auto", {}, nothing)) == [2, 7, "ping", "auto", {}]
        assert parse([2, 7, "ping", "auto", {}]).context is None

    def test_an_empty_one_is_fine(self):
        assert parse(self.fields({})).context == {}

    @pytest.mark.parametrize("wrong", [None, [], "text", 1, {"a": 1}, {1: "a"}, {"a": None}])
    def test_another_type_breaks_the_protocol(self, wrong):
        with pytest.raises(ProtocolError) as caught:
            parse(self.fields(wrong))
        assert caught.value.request_id == 7

    def test_what_else_is_wrong_is_told(self):
        with pytest.raises(ProtocolError, match=r"Request\.id may not be of type str"):
            parse([2, "7", "ping", "auto", {}, {}])
        with pytest.raises(ProtocolError, match="takes the options"):
            parse(self.fields({}, {"more": 1}))

    def test_nothing_comes_after_it(self):
        with pytest.raises(ProtocolError):
            parse([*self.fields({}), None])


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_one_field_more_or_less_breaks_the_protocol(message):
    for fields in (as_read(message)[:-1], [*as_read(message), 1]):
        with pytest.raises(ProtocolError):
            parse(fields)


def nested(depth):
    value = ()
    for _ in range(depth):
        value = (value,)
    return value


@pytest.mark.parametrize(
    "fields",
    [
        None,
        5,
        "ab",
        (9, 7),
        {9: 7},
        [],
        [[9, 7]],
        [-1],
        [11, 1],
        [True, 1],
        [9.0, 7],
        ["9", 7],
        [10**5000, 7],  # more digits than Python writes
        [[10**5000] * 1000],
        [2, 1, "ping", "maybe", {}],
        [2, 1, "ping", "x" * 10**6, {}],
        [2, 1, "run", "auto", {}],
        [2, 1, "__init__", "auto", {}],
        [2, 1, "ping", "auto", {"x": 1}],
        [2, 1, "ping", "auto", {nested(5000): 1}],
        [2, 1, "get_item", "auto", {}],
        [2, 1, "get_item", "auto", {"name": 1}],
        [2, 1, "get_obj", "auto", {"obj": []}],
        [2, 1, "get_obj", "auto", {"obj": "r"}],
        [2, 1, "get_obj", "auto", {"obj": ["r", 1]}],
        [2, 1, "call_obj", "auto", {"obj": ["r"], "args": (), "kwargs": {}}],
        [2, 1, "call_obj", "auto", {"obj": ["r"], "args": [], "kwargs": {1: 1}}],
        [5, ["a", 1]],
        [4, 1, "exception", "E", [1], "", None, ""],
    ],
    ids=lambda fields: str(type(fields)),
)
def test_what_is_no_message_breaks_the_protocol(fields):
    with pytest.raises(ProtocolError) as caught:
        parse(fields)
    assert len(str(caught.value)) < 500


class Contrary:
    """Compares as arrays do: without a yes or no."""

    def __eq__(self, other):
        raise ValueError("the truth value is ambiguous")

    __hash__ = object.__hash__


@pytest.mark.parametrize("place", range(3))
def test_what_does_not_like_to_be_compared_is_no_message(place):
    fields = [3, 1, None]
    fields[place] = Contrary()
    if place == 2:
        assert parse(fields) == (1, fields[2])
    else:
        with pytest.raises(ProtocolError):
            parse(fields)
