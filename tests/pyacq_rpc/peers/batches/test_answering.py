"""What a server makes of a batch, written by hand."""

from __future__ import annotations

import pytest
from conftest import eventually
from things import Thing, open_after_a_moment

from pyacq_rpc import ProtocolError
from pyacq_rpc.wire.batches import pack_frames, promised, unpack_frames
from pyacq_rpc.wire.codecs import codec_named
from pyacq_rpc.wire.messages import REPLIES, Cancel, Failure, Reference, Request, Result, Target

CODEC = codec_named("msgpack")


NAMED = Reference("", "@thing", "", "", [], "")


def packed(message):
    return pack_frames(CODEC.encode(message, lambda reference: reference), 100)[0]


def call(number, ref, *attributes, args=(), reply="auto"):
    options = {"obj": Target(ref, list(attributes)), "args": list(args), "kwargs": {}}
    return Request(number, "call_obj", reply, options)


@pytest.fixture
def peer(server, meet):
    server["thing"] = Thing()
    return meet()


@pytest.fixture
def run(peer):
    """Sends a batch of these requests, and reads the answers."""

    def run(*requests, unread=(), reply="auto"):
        items = [packed(item) if isinstance(item, tuple) else item for item in requests]
        answers = peer.ask("batch", reply, requests=items, unread=list(unread))
        return answers and [
            answer and CODEC.decode(unpack_frames(answer), lambda reference: reference)
            for answer in answers
        ]

    return run


def codes(answers):
    return [getattr(answer, "code", type(answer).__name__) for answer in answers]


def test_each_request_has_its_answer(run):
    answers = run(call(1, "@thing", "add", args=[1, 2]), Request(7, "ping", "auto", {}))
    assert answers == [Result(1, 3), Result(7, "pong")]


def test_an_empty_one_has_none(run):
    assert run() == []


def test_results_are_targets_and_arguments(run):
    answers = run(
        call(1, "@thing", "make", reply="ack"),
        call(2, "#1", "echo", args=[5]),
        call(3, "@thing", "add", args=[promised(2), 1]),
        call(4, "@thing", "add", args=[promised(1)._replace(attributes=["value"]), 1]),
    )
    assert answers == [Result(1, None), Result(2, 5), Result(3, 6), Result(4, 1)]


def test_unread_and_off_have_no_answer(run, server):
    answers = run(
        call(1, "@thing", "note", args=[1]), call(2, "@thing", "note", args=[2], reply="off"),
        call(3, "@thing", "notes"), unread=[1],
    )  # fmt: skip
    assert answers == [None, None, Result(3, [1, 2])]


def test_an_unread_one_tells_its_failure(run):
    (failure,) = run(call(1, "@thing", "fail", args=["no"]), unread=[1])
    assert (failure.id, failure.message) == (1, "no")


def test_a_failure_is_that_of_those_that_need_it(run, server):
    answers = run(
        call(1, "@thing", "fail", args=["no"]),
        call(2, "#1", "foo"),
        call(3, "@thing", "note", args=[[promised(2)]]),
        call(4, "@thing", "note", args=[4]),
    )
    assert [answer.id for answer in answers] == [1, 2, 3, 4]
    assert answers[0]._replace(id=3) == answers[1]._replace(id=3) == answers[2]
    assert server["thing"].log == [4]


def test_what_cannot_be_sent_fails_those_too(run):
    answers = run(call(1, "@thing", "me", reply="value"), call(2, "#1", "notes"))
    assert codes(answers) == ["value", "value"]


@pytest.mark.parametrize(
    ("item", "code"),
    [
        ([b"garbage"], "protocol"),
        ([b""], "protocol"),
        ([], "protocol"),
        (5, "protocol"),
        (packed(Result(1, 2)), "protocol"),
        (packed(Cancel(1)), "protocol"),
        (packed(Request(5, "jump", "auto", {})), "protocol"),
        (packed(Request(5, "batch", "auto", {"requests": [], "unread": []})), "protocol"),
        (packed(Request(5, "interrupt", "auto", {"request": None})), "protocol"),
        (packed(Request(5, "status", "auto", {})), "protocol"),
        (packed(call(1, "@thing", "notes")), "protocol"),  # once more by this id
        (packed(call(5, "#6", "notes")), "released"),
        (packed(call(5, "#5", "notes")), "released"),
        (packed(call(5, "@thing", "echo", args=[promised(9)])), "released"),
        (packed(call(5, "nothing", "notes")), "released"),
        (packed(call(5, "@thing", "echo", args=[NAMED])), "protocol"),
        (packed(call(5, "@thing", "echo", args=[NAMED._replace(ref="x")])), "value"),
    ],
)  # fmt: skip
def test_what_is_wrong_fails_alone(run, server, item, code):
    before, after = call(1, "@thing", "note", args=[1]), call(2, "@thing", "note", args=[2])
    answers = run(before, item, after)
    assert codes(answers) == ["Result", code, "Result"]
    assert server["thing"].log == [1, 2]


@pytest.mark.parametrize("unread", [["1"], [None], [[1]], [1.0], [True]])
def test_what_is_unread_are_ids(peer, unread):
    with pytest.raises(ProtocolError, match="integers"):
        peer.ask("batch", requests=[], unread=unread)


@pytest.mark.parametrize("reply", REPLIES)
def test_the_reply_mode_of_the_whole(peer, server, reply):
    requests = [packed(call(1, "@thing", "note", args=[1]))]
    peer.send(Request(50, "batch", reply, {"requests": requests, "unread": []}))
    peer.send(Request(51, "ping", "auto", {}))
    answer = peer.receive()
    if reply in ("proxy", "ack"):
        assert answer.code == "protocol"
        assert server["thing"].log == []
    else:
        assert server["thing"].log == [1]
        answers = Result(50, [packed(Result(1, None))])
        assert answer == (Result(51, "pong") if reply == "off" else answers)


def test_a_batch_without_an_answer_gives_nothing_out(peer, server, caplog):
    before = len(server.table)
    requests = [
        packed(call(1, "@thing", "make")),
        packed(call(2, "@thing", "fail", args=["unheard"])),
        packed(call(3, "@thing", "echo", args=[promised(9)])),
    ]
    peer.send(Request(50, "batch", "off", {"requests": requests, "unread": []}))
    assert peer.ask("ping") == "pong"
    assert len(server.table) == before
    assert "unheard" in caplog.text
    assert "'#9' is the result of no earlier request" in caplog.text


def test_a_promise_means_nothing_elsewhere(peer):
    peer.send(call(1, "@thing", "make"))
    assert isinstance(peer.receive(), Result)
    peer.send(call(2, "#1", "notes"))
    assert peer.receive().code == "released"
    peer.send(call(3, "@thing", "echo", args=[promised(1)]))
    assert peer.receive().code == "protocol"


def test_one_batch_does_not_know_the_results_of_another(run):
    run(call(1, "@thing", "make"))
    (failure,) = run(call(2, "#1", "notes"))
    assert failure.code == "released"


def test_a_batch_can_be_withdrawn_before_it_has_begun(peer, server, client):
    thing = server["thing"]
    busy = client["thing"].wait(_sync="async")
    assert eventually(lambda: client.status().doing == "thing.wait")
    requests = [packed(call(2, "@thing", "note", args=[1]))]
    peer.send(Request(1, "batch", "auto", {"requests": requests, "unread": []}), Cancel(1))
    open_after_a_moment(thing.gate)
    answer = peer.receive()
    assert isinstance(answer, Failure)
    assert answer.code == "withdrawn"
    assert busy.result(10)
    assert thing.log == []


def test_results_are_proxies_where_they_have_no_value_form(run, server):
    before = len(server.table)
    (result,) = run(call(1, "@thing", "make"))
    assert isinstance(result.value, Reference)
    assert len(server.table) == before + 1
