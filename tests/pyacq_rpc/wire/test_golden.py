"""The bytes of at least one message of each kind and one value of each tag.

A change that breaks one of these breaks the protocol: it needs a new version.
"""

from __future__ import annotations

import datetime
import math
import zoneinfo
from collections import namedtuple

import numpy as np
import pytest
from strategies import same

from pyacq_rpc.wire.json_codec import JsonCodec
from pyacq_rpc.wire.messages import (
    Cancel,
    Claim,
    Failure,
    Goodbye,
    Grant,
    Hello,
    Message,
    Move,
    Reference,
    Release,
    Request,
    Result,
    Target,
    Welcome,
    Withdraw,
)
from pyacq_rpc.wire.msgpack_codec import MsgpackCodec
from pyacq_rpc.wire.registry import Buffer
from pyacq_rpc.wire.values import TAGS

Point = namedtuple("Point", "x y")

MESSAGES: list[tuple[Message, str, str]] = [
    (
        Hello(1, "peer", {}),
        "940001a47065657280",
        '[0,1,"peer",{}]',
    ),
    (
        Welcome(1, "server", {"name": "camera"}),
        "940101a673657276657281a46e616d65a663616d657261",
        '[1,1,"server",{"name":"camera"}]',
    ),
    (
        Request(
            1,
            "call_obj",
            "auto",
            {"obj": Target("ref", ["a", "b"]), "args": [1], "kwargs": {"x": 2}},
        ),
        (
            "950201a863616c6c5f6f626aa46175746f83a36f626a93a3726566a161a162a4617267739101a66b"
            "776172677381a17802"
        ),
        '[2,1,"call_obj","auto",{"obj":["ref","a","b"],"args":[1],"kwargs":{"x":2}}]',
    ),
    (
        Request(
            3,
            "call_obj",
            "auto",
            {"obj": Target("ref", ["shoot", "__describe__"]), "args": [], "kwargs": {}},
        ),
        (
            "950203a863616c6c5f6f626aa46175746f83a36f626a93a3726566a573686f6f74ac5f5f64657363"
            "726962655f5fa46172677390a66b776172677380"
        ),
        '[2,3,"call_obj","auto",{"obj":["ref","shoot","__describe__"],"args":[],"kwargs":{}}]',
    ),
    (
        Result(
            3,
            {
                "type": "method",
                "doc": "Take.",
                "signature": [[["s", 1, None, "float"], ["n", 3, ["value", 1], None]], None],
            },
        ),
        (
            "93030383a474797065a66d6574686f64a3646f63a554616b652ea97369676e6174757265929294a1"
            "7301c0a5666c6f617494a16e0392a576616c756501c0c0"
        ),
        (
            '[3,3,{"type":"method","doc":"Take.",'
            '"signature":[[["s",1,null,"float"],["n",3,["value",1],null]],null]}]'
        ),
    ),
    (
        Request(2, "get_obj", "value", {"obj": Target("@name", [])}),
        "950202a76765745f6f626aa576616c756581a36f626a91a5406e616d65",
        '[2,2,"get_obj","value",{"obj":["@name"]}]',
    ),
    (
        Request(3, "get_item", "proxy", {"name": "n"}),
        "950203a86765745f6974656da570726f787981a46e616d65a16e",
        '[2,3,"get_item","proxy",{"name":"n"}]',
    ),
    (
        Request(4, "set_item", "ack", {"name": "n", "value": None}),
        "950204a87365745f6974656da361636b82a46e616d65a16ea576616c7565c0",
        '[2,4,"set_item","ack",{"name":"n","value":null}]',
    ),
    (
        Request(5, "delete", "off", {"obj_id": "s.1", "ref_id": "r"}),
        "950205a664656c657465a36f666682a66f626a5f6964a3732e31a67265665f6964a172",
        '[2,5,"delete","off",{"obj_id":"s.1","ref_id":"r"}]',
    ),
    (
        Request(6, "import", "auto", {"module": "os"}),
        "950206a6696d706f7274a46175746f81a66d6f64756c65a26f73",
        '[2,6,"import","auto",{"module":"os"}]',
    ),
    (
        Request(7, "transfer", "auto", {"obj": True}),
        "950207a87472616e73666572a46175746f81a36f626ac3",
        '[2,7,"transfer","auto",{"obj":true}]',
    ),
    (
        Request(8, "ping", "auto", {}),
        "950208a470696e67a46175746f80",
        '[2,8,"ping","auto",{}]',
    ),
    (
        Request(9, "time", "auto", {}),
        "950209a474696d65a46175746f80",
        '[2,9,"time","auto",{}]',
    ),
    (
        Request(10, "close", "auto", {}),
        "95020aa5636c6f7365a46175746f80",
        '[2,10,"close","auto",{}]',
    ),
    (
        Request(11, "ping", "off", {}, {"traceparent": "00-1-2-01", "user": "é"}),
        (
            "96020ba470696e67a36f66668082ab7472616365706172656e74a930302d312d322d3031a475736572"
            "a2c3a9"
        ),
        '[2,11,"ping","off",{},{"traceparent":"00-1-2-01","user":"\\u00e9"}]',
    ),
    (
        Request(8, "ping", "auto", {}, None, 3),
        "970208a470696e67a46175746f80c003",
        '[2,8,"ping","auto",{},null,3]',
    ),
    (
        Request(
            12,
            "call_obj",
            "auto",
            {"obj": Target("ref", ["a"]), "args": [1], "kwargs": {}},
            {"a": "b"},
        ),
        (
            "96020ca863616c6c5f6f626aa46175746f83a36f626a92a3726566a161a46172677391"
            "01a66b776172677380"
            "81a161a162"
        ),
        '[2,12,"call_obj","auto",{"obj":["ref","a"],"args":[1],"kwargs":{}},{"a":"b"}]',
    ),
    (
        Request(13, "stats", "auto", {}),
        "95020da57374617473a46175746f80",
        '[2,13,"stats","auto",{}]',
    ),
    (
        Request(14, "names", "auto", {}),
        "95020ea56e616d6573a46175746f80",
        '[2,14,"names","auto",{}]',
    ),
    (
        Request(15, "iterate", "auto", {"obj": Target("r", ["a"]), "backwards": False, "room": 9}),
        "95020fa769746572617465a46175746f83a36f626a92a172a161a96261636b7761726473c2a4726f6f6d09",
        '[2,15,"iterate","auto",{"obj":["r","a"],"backwards":false,"room":9}]',
    ),
    (
        Request(16, "fetch", "value", {"obj": Target("r", []), "at": 300, "room": 100}),
        "950210a56665746368a576616c756583a36f626a91a172a26174cd012ca4726f6f6d64",
        '[2,16,"fetch","value",{"obj":["r"],"at":300,"room":100}]',
    ),
    (
        Request(17, "batch", "auto", {"requests": [[b"x"]], "unread": [5]}),
        "950211a56261746368a46175746f82a872657175657374739191c40178a6756e726561649105",
        '[2,17,"batch","auto",{"requests":[[{"$bytes":["eA=="]}]],"unread":[5]}]',
    ),
    (
        Request(18, "interrupt", "auto", {"request": 7}),
        "950212a9696e74657272757074a46175746f81a77265717565737407",
        '[2,18,"interrupt","auto",{"request":7}]',
    ),
    (
        Result(300, [None, False, -1, 1.5, "é"]),
        "9303cd012c95c0c2ffcb3ff8000000000000a2c3a9",
        '[3,300,[null,false,-1,1.5,"\\u00e9"]]',
    ),
    (
        Failure(1, "exception", "KeyError", ["KeyError", "LookupError"], "'x'", ["x"], "Traceback"),
        (
            "980401a9657863657074696f6ea84b65794572726f7292a84b65794572726f72ab4c6f6f6b757045"
            "72726f72a327782791a178a954726163656261636b"
        ),
        '[4,1,"exception","KeyError",["KeyError","LookupError"],"\'x\'",["x"],"Traceback"]',
    ),
    (
        Failure(None, "protocol", "ProtocolError", [], "no", None, ""),
        "9804c0a870726f746f636f6cad50726f746f636f6c4572726f7290a26e6fc0a0",
        '[4,null,"protocol","ProtocolError",[],"no",null,""]',
    ),
    (
        Release(["a", "b"]),
        "920592a161a162",
        '[5,["a","b"]]',
    ),
    (
        Grant("ref", "token"),
        "9306a3726566a5746f6b656e",
        '[6,"ref","token"]',
    ),
    (
        Claim("ref", "token"),
        "9307a3726566a5746f6b656e",
        '[7,"ref","token"]',
    ),
    (
        Withdraw("token"),
        "9208a5746f6b656e",
        '[8,"token"]',
    ),
    (
        Cancel(7),
        "920907",
        "[9,7]",
    ),
    (
        Goodbye("closed"),
        "920aa6636c6f736564",
        '[10,"closed"]',
    ),
    (
        Move("a0941d9e"),
        "920ba86130393431643965",
        '[11,"a0941d9e"]',
    ),
]

VALUES: list[tuple[object, str, str]] = [
    (
        (1, (2,)),
        "93030193c700000192c7000002",
        '[3,1,{"$tuple":[1,{"$tuple":[2]}]}]',
    ),
    (
        {"s"},
        "93030192c70001a173",
        '[3,1,{"$set":["s"]}]',
    ),
    (
        frozenset({None}),
        "93030192c70002c0",
        '[3,1,{"$frozenset":[null]}]',
    ),
    (
        1 - 2j,
        "93030193c70003cb3ff0000000000000cbc000000000000000",
        '[3,1,{"$complex":[1.0,-2.0]}]',
    ),
    (
        bytearray(b"\0\xff"),
        "93030192c70004c40200ff",
        '[3,1,{"$bytearray":[{"$bytes":["AP8="]}]}]',
    ),
    (
        slice(1, None, 2),
        "93030194c7000501c002",
        '[3,1,{"$slice":[1,null,2]}]',
    ),
    (
        range(0, 10, 3),
        "93030194c70006000a03",
        '[3,1,{"$range":[0,10,3]}]',
    ),
    (
        datetime.datetime(2020, 10, 25, 2, 30, 0, 5, zoneinfo.ZoneInfo("Europe/Berlin"), fold=1),
        "9303019ac70007cd07e40a19021e000501ad4575726f70652f4265726c696e",
        '[3,1,{"$datetime":[2020,10,25,2,30,0,5,1,"Europe/Berlin"]}]',
    ),
    (
        datetime.datetime(2020, 1, 2, tzinfo=datetime.timezone.utc),
        "9303019ac70007cd07e40102000000000094000000a3555443",
        '[3,1,{"$datetime":[2020,1,2,0,0,0,0,0,[0,0,0,"UTC"]]}]',
    ),
    (
        datetime.date(2020, 1, 2),
        "93030194c70008cd07e40102",
        '[3,1,{"$date":[2020,1,2]}]',
    ),
    (
        datetime.time(1, 2, 3, 4),
        "93030197c700090102030400c0",
        '[3,1,{"$time":[1,2,3,4,0,null]}]',
    ),
    (
        datetime.time(1, tzinfo=datetime.timezone(datetime.timedelta(hours=-5), "EST")),
        "93030197c70009010000000094ffce00010b3000a3455354",
        '[3,1,{"$time":[1,0,0,0,0,[-1,68400,0,"EST"]]}]',
    ),
    (
        datetime.timedelta(-1, 2, 3),
        "93030194c7000aff0203",
        '[3,1,{"$timedelta":[-1,2,3]}]',
    ),
    (
        ...,
        "93030191c7000b",
        '[3,1,{"$ellipsis":[]}]',
    ),
    (
        NotImplemented,
        "93030191c7000c",
        '[3,1,{"$notimplemented":[]}]',
    ),
    (
        2**64,
        "93030192c7000dc409010000000000000000",
        "[3,1,18446744073709551616]",
    ),
    (
        -(2**2001),
        (
            "93030192c7000dc4fbfe000000000000000000000000000000000000000000000000000000000000"
            "00000000000000000000000000000000000000000000000000000000000000000000000000000000"
            "00000000000000000000000000000000000000000000000000000000000000000000000000000000"
            "00000000000000000000000000000000000000000000000000000000000000000000000000000000"
            "00000000000000000000000000000000000000000000000000000000000000000000000000000000"
            "00000000000000000000000000000000000000000000000000000000000000000000000000000000"
            "0000000000000000000000000000000000000000"
        ),
        (
            '[3,1,{"$int":[{"$bytes":["/gAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
            'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]}]}]'
        ),
    ),
    (
        Point(1, [2]),
        "93030194c7000ea5506f696e7492a178a17992019102",
        '[3,1,{"$namedtuple":["Point",["x","y"],[1,[2]]]}]',
    ),
    (
        {1: "a"},
        "9303018101a161",
        '[3,1,{"$dict":[[1,"a"]]}]',
    ),
    (
        {"$x": 1},
        "93030181a2247801",
        '[3,1,{"$dict":[["$x",1]]}]',
    ),
    (
        {(1, 2): {}},
        "93030192c7000f9293c70000010280",
        '[3,1,{"$dict":[[{"$tuple":[1,2]},{}]]}]',
    ),
    (
        Reference("tcp://h:1", "ref", "server.1f", "mylab.Camera", ["a"], "token"),
        (
            "93030197c70010a97463703a2f2f683a31a3726566a97365727665722e3166ac6d796c61622e4361"
            "6d65726191a161a5746f6b656e"
        ),
        '[3,1,{"$proxy":["tcp://h:1","ref","server.1f","mylab.Camera",["a"],"token"]}]',
    ),
    (
        math.inf,
        "930301cb7ff0000000000000",
        '[3,1,{"$float":["inf"]}]',
    ),
    (
        b"\0\xff",
        "930301c40200ff",
        '[3,1,{"$bytes":["AP8="]}]',
    ),
    (
        "\ud83d\ude00",
        "930301a6eda0bdedb880",
        '[3,1,{"$str":["\\ud83d","\\ude00"]}]',
    ),
    (
        np.arange(3, dtype="<i2"),
        "93030193c70012ad6e756d70792e6e64617272617994a33c69329103a143c406000001000200",
        '[3,1,{"$type":["numpy.ndarray",["<i2",[3],"C",{"$bytes":["AAABAAIA"]}]]}]',
    ),
    (
        np.asfortranarray(np.ones((2, 2), "|u1")),
        "93030193c70012ad6e756d70792e6e64617272617994a37c7531920202a146c40401010101",
        '[3,1,{"$type":["numpy.ndarray",["|u1",[2,2],"F",{"$bytes":["AQEBAQ=="]}]]}]',
    ),
    (
        np.zeros(1, np.dtype([("a", "|b1"), ("b", "<f4", (1,))], align=True)),
        (
            "93030193c70012ad6e756d70792e6e6461727261799494a67374727563749294a161a37c623100c0"
            "94a16293a56172726179a33c6634910104c008c39101a143c4080000000000000000"
        ),
        (
            '[3,1,{"$type":["numpy.ndarray",[["struct",[["a","|b1",0,null],["b",["array","<f4'
            '",[1]],4,null]],8,true],[1],"C",{"$bytes":["AAAAAAAAAAA="]}]]}]'
        ),
    ),
    (
        np.float64(1.0),
        "93030193c70012ad6e756d70792e67656e6572696392a33c6638c408000000000000f03f",
        '[3,1,{"$type":["numpy.generic",["<f8",{"$bytes":["AAAAAAAA8D8="]}]]}]',
    ),
    (
        np.datetime64("2020-01-01", "D"),
        "93030193c70012ad6e756d70792e67656e6572696392a63c4d385b445dc4085647000000000000",
        '[3,1,{"$type":["numpy.generic",["<M8[D]",{"$bytes":["VkcAAAAAAAA="]}]]}]',
    ),
    (
        np.str_("a"),
        "93030193c70012ad6e756d70792e67656e65726963a161",
        '[3,1,{"$type":["numpy.generic","a"]}]',
    ),
]
"""Each is the value of ``Result(1, value)``."""


def refuse(obj):
    raise AssertionError(f"{obj!r} was to travel by value")


def names(rows):
    return [str(row[0])[:30] for row in rows]


@pytest.mark.parametrize(("message", "packed", "text"), MESSAGES, ids=names(MESSAGES))
class TestMessages:
    def test_messages_to_bytes(self, message, packed, text):
        assert [bytes.fromhex(packed)] == MsgpackCodec().encode(message, refuse)
        assert [text.encode()] == JsonCodec().encode(message, refuse)

    def test_bytes_to_messages(self, message, packed, text):
        for codec, head in ((MsgpackCodec(), bytes.fromhex(packed)), (JsonCodec(), text.encode())):
            arrived = codec.decode([head], lambda reference: reference)
            assert type(arrived) is type(message)
            assert arrived == message


@pytest.mark.parametrize(("value", "packed", "text"), VALUES, ids=names(VALUES))
class TestValues:
    def test_values_to_bytes(self, value, packed, text):
        assert [bytes.fromhex(packed)] == MsgpackCodec().encode(Result(1, value), refuse)
        assert [text.encode()] == JsonCodec().encode(Result(1, value), refuse)

    def test_bytes_to_values(self, value, packed, text):
        for codec, head in ((MsgpackCodec(), bytes.fromhex(packed)), (JsonCodec(), text.encode())):
            assert same(value, codec.decode([head], lambda reference: reference).value)


def test_a_buffer():
    data = bytes(range(256)) * 20
    head, frame = MsgpackCodec().encode(Result(1, Buffer(memoryview(data))), refuse)
    assert head.hex() == "93030192c7001101"
    assert frame == data
    assert MsgpackCodec().decode([head, data], refuse).value == data


def test_a_packing_makes_the_bytes_of_the_whole():
    items = [1, "é", (2, [3]), {"a": {4}}, 2**64, np.arange(3, dtype="<i2")]
    for codec in (MsgpackCodec(), JsonCodec()):
        for rest in ([True], [False, "", Reference("a", "r", "s.1", "t", [], "")]):
            packing = codec.packing(refuse)
            for item in items:
                packing.add(item)
            assert packing.finish(300, rest) == codec.encode(Result(300, [items, *rest]), refuse)


def test_every_kind_and_every_tag_is_here():
    kinds = {type(message) for message, _, _ in MESSAGES}
    assert len(kinds) == 12
    text = "".join(text for _, _, text in VALUES)
    missing = [tag for tag in TAGS if f'{{"${tag}":' not in text]
    assert missing == ["buffer"]  # it has a test of its own
