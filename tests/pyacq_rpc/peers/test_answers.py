"""What a client makes of each message of a server, without a connection."""

from __future__ import annotations

import types

import pytest

from pyacq_rpc import RemoteCallException, RPCServer, ServerDisconnected
from pyacq_rpc.peers.answers import Answers
from pyacq_rpc.peers.pending import Pending, PendingRequests
from pyacq_rpc.peers.runtime import current
from pyacq_rpc.wire import messages
from pyacq_rpc.wire.codecs import codec_named

CODEC = codec_named("msgpack")


class Channel:
    """Notes what it is told to do."""

    def __init__(self):
        self.name = current().links.peer_name("tcp://there:1")
        self.peer = self.name.text
        self.server = "the server at tcp://there:1"
        self.sizes = types.SimpleNamespace(limits=None)
        self.roads = types.SimpleNamespace(moved=lambda: self.changes.append("moved"))
        self.ended, self.moved_to, self.changes, self.has_met = [], [], [], []

    def farewell(self, what):
        return lambda: self.ended.append(what)

    def move(self, path, token):
        self.moved_to.append((path, token))

    def met(self, server_id):
        self.has_met.append(server_id)


@pytest.fixture
def pending():
    requests = PendingRequests()
    outgoing = types.SimpleNamespace(leases=None, grants=None, undo=lambda: None)
    requests.begin(1, Pending(None, outgoing, None))
    return requests


@pytest.fixture
def lost():
    return []


@pytest.fixture
def answers(pending, lost):
    runtime = current()
    thread = types.SimpleNamespace(server=None)
    answers = Answers(runtime, thread, "tcp://there:1", CODEC, pending, lost.append)
    answers.channel = Channel()
    return answers


def hear(answers, *said):
    """Let the server say this, and do what has to be done about it."""
    for message in said:
        effect = answers.receive(CODEC.encode(message, None))
        if effect is not None:
            effect()


def welcome(**info):
    return messages.Welcome(messages.VERSION, "incarnation", info)


def failure(request_id, code, text=""):
    return messages.Failure(request_id, code, "", [], text, None, "")


def test_a_welcome_tells_who_the_server_is(answers):
    assert answers.server_id is answers.since is answers.server_name() is None
    hear(answers, welcome(name="camera", limits={"message": 7, "frames": 3}))
    assert answers.server_id == "incarnation"
    assert answers.channel.has_met == ["incarnation"]
    assert answers.since is not None
    assert answers.server_name() == "camera"
    assert answers.channel.server == "camera (tcp://there:1)"
    assert (answers.channel.sizes.limits.message, answers.channel.sizes.limits.frames) == (7, 3)
    assert answers.channel.moved_to == []


@pytest.mark.parametrize(
    "info", [{}, {"name": 3, "limits": "none", "path": 1, "token": 2}, {"limits": {"message": "x"}}]
)
def test_a_welcome_that_tells_nothing_of_use(answers, info):
    hear(answers, welcome(**info))
    assert answers.server_id == "incarnation"
    assert answers.server_name() is None
    assert answers.channel.sizes.limits is None
    assert answers.channel.moved_to == []


def test_the_direct_road_is_taken_when_it_is_told(answers):
    hear(answers, welcome(path="/somewhere", token="secret"))
    assert answers.channel.moved_to == [("/somewhere", "secret")]
    hear(answers, messages.Move("secret"))
    assert answers.channel.changes == ["moved"]


def test_a_server_that_was_given_up_before_it_has_answered(answers):
    answers.channel.name.lost.add("incarnation")
    hear(answers, welcome())
    assert answers.server_id is None
    assert answers.channel.ended == ["was out of reach, and has just come back"]


def test_an_answer_gets_to_whoever_waits_and_only_once(answers, pending):
    request = pending[1]
    hear(answers, messages.Result(1, "done"), messages.Result(1, "again"), messages.Result(2, ""))
    assert (request.done, request.value, request.error) == (True, "done", None)
    assert pending.answered == 1
    assert not pending


def test_a_failure_gets_to_whoever_waits(answers, pending):
    request = pending[1]
    hear(answers, messages.Failure(1, "remote", "ValueError", ["ValueError"], "no", ["no"], ""))
    assert isinstance(request.error, ValueError)
    assert isinstance(request.error, RemoteCallException)


def test_what_was_withdrawn_has_no_answer(answers, pending):
    assert pending.abandon(1)
    hear(answers, failure(1, "withdrawn"))
    assert not pending


def test_a_value_that_cannot_be_read_fails_its_call_alone(answers, pending):
    request = pending[1]
    there = messages.Reference("tcp://there:1", "#1", "other.1", "T", [], "")
    frames = CODEC.encode(messages.Result(1, object()), lambda obj: there)
    answers.receive(frames)()
    assert request.done
    assert "a reference names what its sender holds" in str(request.error)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (failure(None, "stranger"), "has been replaced by another one"),
        (failure(None, "protocol", "too old"), "has refused this client: too old"),
        (messages.Goodbye("so it is"), "has closed the connection (so it is)"),
    ],
)
def test_what_ends_the_connection(answers, said, why):
    hear(answers, said)
    assert answers.channel.ended == [why]


@pytest.mark.parametrize(
    ("said", "logged"),
    [
        (failure(None, "protocol", "no sense"), "could not read a message: no sense"),
        (messages.Cancel(1), "a server does not send Cancel"),
    ],
)
def test_what_ends_nothing_is_logged(answers, said, logged, caplog):
    hear(answers, welcome(), said)
    assert logged in caplog.text
    assert answers.channel.ended == []


def test_garbage_is_logged(answers, caplog):
    assert answers.receive([b"\xc1"]) is None
    assert "dropped a malformed message of tcp://there:1" in caplog.text


def test_what_is_lost_along_with_it_is_known_once_it_was_greeted(answers, monkeypatch):
    told = []
    monkeypatch.setattr(current().links, "server_gone", lambda *args: told.append(args[1:3]))
    answers.losing([])
    assert told == []
    hear(answers, welcome())
    answers.losing([])
    hear(answers, messages.Goodbye("bye"))
    answers.losing([])
    assert told == [("incarnation", False), ("incarnation", True)]


def test_whoever_waits_is_told_of_the_end(answers, lost):
    gone = ServerDisconnected("gone")
    answers.lost(gone)
    assert lost == [gone]


def test_an_object_of_this_thread_comes_home(answers, pending):
    with_objects = RPCServer()
    try:
        answers._thread.server = with_objects
        obj = object()
        ref = with_objects.table.open(obj, answers.channel.peer)
        home = messages.Reference(
            with_objects.address, ref, f"{with_objects.server_id}.1", "object", [], ""
        )
        answers.channel.holder = types.SimpleNamespace(open_lease=lambda ref: None)
        request = pending[1]
        answers.receive(CODEC.encode(messages.Result(1, object()), lambda _: home))()
        assert request.value is obj
    finally:
        with_objects.close()
