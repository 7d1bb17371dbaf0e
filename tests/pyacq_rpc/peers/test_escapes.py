"""Attempts to get out of a service: to what nobody has exposed, or into its process.

They are made by messages written by hand, since the client's own side would
refuse some. Each has to end in a refusal, and the server has to go on serving.
"""

from __future__ import annotations

import sys
import threading

import numpy as np
import pytest
import zmq
from conftest import with_key
from vault import GIFTS, Anything, Home, Thief, Vault, reached

from pyacq_rpc import RPCServer, Service
from pyacq_rpc.session.special import SPECIAL
from pyacq_rpc.wire.messages import Failure, Request, Result, Target


@pytest.fixture(autouse=True)
def nothing_is_reached():
    reached.clear()
    yield
    assert reached == []


@pytest.fixture
def server():
    server = RPCServer(name="service", policy=Service({Anything: ["known"]}))
    server["vault"] = Vault()
    server["Vault"] = Vault
    server["type"] = type
    server["anything"] = Anything()
    thread = threading.Thread(target=server.run_forever)
    thread.start()
    names = server.keys()
    yield server
    assert server.running()
    assert server.keys() == names
    assert server["vault"].secret == server["vault"]._secret == "plutonium"
    assert type(server["vault"]) is Vault
    server.close()
    thread.join(10)


@pytest.fixture
def sockets(server):
    with zmq.Context() as context:
        opened = []

        def connect():
            socket = with_key(context.socket(zmq.DEALER))
            socket.linger = 0
            socket.rcvtimeo = 10_000
            socket.connect(server.address)
            opened.append(socket)
            return socket

        yield connect
        for socket in opened:
            socket.close()


@pytest.fixture
def thief(sockets):
    thief = Thief(sockets())
    yield thief
    assert thief.call("@vault", "number") == Result(thief._id, 42)


def assert_refused(answer):
    assert isinstance(answer, Failure)
    assert answer.code in ("denied", "protocol", "released")
    assert answer.traceback == ""


CHAINS = [
    "__class__",
    "__class__ __mro__",
    "__class__ __base__ __subclasses__",
    "__dict__",
    "__doc__",
    "__init__ __globals__",
    "__init__ __globals__ __getitem__",
    "__module__",
    "__weakref__",
    "number __globals__",
    "number __builtins__",
    "number __self__",
    "number __self__ secret",
    "number __func__",
    "number __func__ __globals__",
    "number __wrapped__",
    "number __code__ co_consts",
    "number __closure__",
    "number __call__",
    "number real",
    "number number",
    "give __kwdefaults__",
    "gain __globals__",
    "stream gi_frame",
    "secret",
    "secret format",
    "_secret",
    "hook",
    "hidden",
    "hidden_property",
    "overridden",
    "descriptor",
    "nested",
    "coin",
    "mro",
    "__reduce__",
    "__reduce_ex__",
    "__getstate__",
    "__getattribute__",
    "__getattr__",
    "__new__",
    "__init_subclass__",
    "__call__",
]
NAMES = [
    "",
    ".",
    "number.__globals__",
    "number\0",
    "number ",
    " number",
    "Number",
    "nothing",
    "@vault",
    "\uff4eumber",  # which Python's parser, but nothing else, takes for number
    "\uff53ecret",
    "\uff3f\uff3fclass\uff3f\uff3f",
    "_\uff3fclass__",
    "\u200bnumber",
    "\ud800",
    "n" * 100_000,
]


class TestAttributes:
    @pytest.mark.parametrize("chain", CHAINS)
    def test_chains(self, thief, chain):
        for ref in ("@vault", thief.given("self").ref, "@Vault"):
            assert_refused(thief.get(ref, *chain.split()))
            assert_refused(thief.call(ref, *chain.split()))
            assert_refused(thief.call(ref, *chain.split(), args=["secret"]))

    def test_names_that_look_like_others(self, thief):
        for name in NAMES:
            assert_refused(thief.get("@vault", name))
            assert_refused(thief.call("@vault", name))
            assert_refused(thief.call("@vault", "__setattr__", args=[name, 1]))

    @pytest.mark.parametrize("name", ["x", "_x", "__x__", "__len__", "known"])
    def test_an_object_that_has_whatever_is_asked_for(self, thief, name):
        """What is named can be got; but it is no method, so it is not called."""
        if name != "known":
            assert_refused(thief.get("@anything", name))
        assert_refused(thief.call("@anything", name))
        assert_refused(thief.call("@anything", name, "x"))

    @pytest.mark.parametrize(
        "name",
        ["__class__", "__dict__", "_secret", "secret", "number", "gain", "hook", "descriptor"],
    )
    def test_assignments(self, thief, name):
        for written in (name, np.str_(name)):  # which is a str too
            assert_refused(thief.call("@vault", "__setattr__", args=[written, 1]))
            assert_refused(thief.call("@Vault", "__setattr__", args=[written, 1]))
            assert_refused(thief.call("@vault", "number", "__setattr__", args=[written, 1]))
            assert_refused(thief.call("@vault", "__delattr__", args=[written]))

    @pytest.mark.parametrize("args", [[], [5, 5], [b"secret", 5], [["secret"], 5], [None, 5]])
    def test_assignments_to_no_name(self, thief, args):
        assert_refused(thief.call("@vault", "__setattr__", args=args))
        assert_refused(thief.call("@vault", "__delattr__", args=args))


EXPOSED_OF_GIFTS = {
    "iterator": {"__iter__", "__next__"},
    "map": {"__iter__", "__next__"},
}


METHODS_OF_GIFTS = [
    ("module", "system"),
    ("module", "__dict__"),
    ("module", "path join"),
    ("class", "coin"),
    ("class", "__subclasses__"),
    ("class", "hidden"),
    ("partial", "func"),
    ("partial", "func __globals__"),
    ("another's method", "__self__ run"),
    ("function", "__globals__ get"),
    ("error", "__traceback__ tb_frame f_globals"),
    ("error", "with_traceback"),
    ("error", "args"),
    ("frame", "f_back f_globals"),
    ("text", "format"),
    ("text", "format_map"),
    ("property", "fget"),
    ("property", "__get__"),
    ("dict", "get"),
    ("namespace", "items"),
    ("list", "append"),
    ("event", "set"),
]


class TestResults:
    """What an exposed method returns gives no access to anything else."""

    @pytest.mark.parametrize("gift", sorted(GIFTS.keys() - {"self"}))
    def test_has_nothing_exposed(self, thief, gift):
        ref = thief.given(gift).ref
        if gift != "class" and gift != "type":  # which are published
            assert_refused(thief.call(ref))
            assert_refused(thief.call(ref, args=["os"]))
        for name in {*dir(GIFTS[gift](Vault())), "__call__", "func", "f_globals", "tb_frame"}:
            assert_refused(thief.get(ref, name))
        for name in set(SPECIAL) - EXPOSED_OF_GIFTS.get(gift, set()):
            assert_refused(thief.call(ref, name, args=["secret", 1]))

    def test_has_no_methods(self, thief):
        vault = Home(thief.given("self"))
        for gift, chain in METHODS_OF_GIFTS:
            ref = thief.given(gift).ref
            for args in ([], [vault], ["id"]):
                assert_refused(thief.call(ref, *chain.split(), args=args))

    def test_generators_are_only_iterated_over(self, thief):
        ref = thief.call("@vault", "stream", reply="proxy").value.ref
        assert thief.call(ref, "__next__").value == 1
        for name in ("gi_frame", "gi_code", "gi_yieldfrom", "send", "throw", "close"):
            assert_refused(thief.get(ref, name))
            assert_refused(thief.call(ref, name))
            assert_refused(thief.get(ref, name, "f_globals"))
        assert_refused(thief.get(ref, "__next__"))
        assert thief.call(ref, "__next__").value == 2

    def test_texts_are_not_formatted(self, thief):
        text = thief.given("text").ref
        vault = Home(thief.given("self"))
        assert_refused(thief.call(text, "__mod__", args=[vault]))
        assert_refused(thief.call(text, "__format__", args=[""]))
        assert_refused(thief.call("@vault", "__format__", args=["{0.secret}"]))
        assert_refused(thief.call("@vault", "__rmod__", args=["%(secret)s"]))

    def test_what_an_exposed_property_returns_is_not_called(self, thief):
        assert_refused(thief.call("@vault", "gain"))
        assert_refused(thief.call(thief.get("@vault", "gain").value.ref))

    def test_classes_that_were_made_are_not_called(self, thief):
        """Whoever publishes ``type`` lets clients make classes, and no more."""
        made = thief.call("@type", args=["Made", (), {}])
        assert_refused(thief.call(made.value.ref))
        found = thief.call("@type", args=[Home(thief.given("event"))])
        assert_refused(thief.call(found.value.ref))
        assert_refused(thief.call(found.value.ref, "__subclasses__"))


@pytest.mark.parametrize("other", ["%(secret)s", [1], np.ones(2), None], ids=repr)
def test_operators(thief, other):
    """Nor those that Python would find another way for."""
    other = Home(thief.given("self")) if other is None else other
    for ref in ("@vault", "@Vault", "@type", "@anything"):
        for name in SPECIAL:
            assert_refused(thief.call(ref, name, args=[other]))


CALLABLE_GIFTS = [
    "function",
    "lambda",
    "builtin",
    "partial",
    "attrgetter",
    "another's method",
    "hidden method",
    "hidden function",
    "unbound method",
    "builtin method",
    "another",
    "weak reference",
]


class TestArguments:
    """The server's own code would use them, and knows nothing of the client."""

    def test_what_the_client_may_not_call_is_not_called_for_it(self, thief):
        for gift in CALLABLE_GIFTS:
            home = Home(thief.given(gift))
            assert_refused(thief.call("@vault", "apply", args=[home]))
            assert_refused(thief.call("@vault", "number", args=[[{"deep": (home,)}]]))
            assert_refused(thief.ask("transfer", obj=home))
            assert_refused(thief.ask("set_item", name="mine", value=home))

    def test_chains(self, thief):
        vault = thief.given("self")
        for chain in CHAINS:
            assert_refused(thief.call("@vault", "apply", args=[Home(vault, *chain.split())]))

    def test_what_is_published_is_not_named_by_a_reference(self, thief):
        there = thief.given("self")
        for chain in ("", "number", "hidden", "secret"):
            home = Home(there, *chain.split(), ref="@vault")
            assert_refused(thief.call("@vault", "apply", args=[home]))
            elsewhere = Home(there, *chain.split(), ref="@vault", object_id="other.1", token="t")
            assert_refused(thief.call("@vault", "apply", args=[elsewhere]))


class TestServer:
    def test_nothing_is_published_over_what_is(self, thief):
        assert_refused(thief.ask("set_item", name="vault", value=5))
        assert_refused(thief.ask("set_item", name="mine", value=Home(thief.given("self"))))

    def test_nothing_is_imported(self, thief):
        for module in ("os", "builtins", "", ".", "pyacq_rpc", "no such"):
            assert_refused(thief.ask("import", module=module))

    def test_nothing_is_put_there(self, thief):
        assert_refused(thief.ask("transfer", "proxy", obj=[1]))

    def test_it_is_not_closed(self, thief):
        assert_refused(thief.ask("close"))

    def test_references_of_others_are_not_deleted(self, thief, sockets):
        other = Thief(sockets(), peer="other")
        reference = other.given("self")
        assert_refused(
            thief.ask("delete", obj_id=reference.object_id, ref_id=reference.ref),
        )
        assert other.call(reference.ref, "number").value == 42

    def test_whatever_the_answer_is_to_be(self, thief):
        for reply in ("proxy", "value", "ack"):
            assert_refused(thief.call("@vault", "hidden", reply=reply))
            assert_refused(thief.get("@vault", "secret", reply=reply))

    def test_without_an_answer(self, server, thief):
        for message in (
            Request(1, "call_obj", "off", _call("@vault", "hidden")),
            Request(2, "call_obj", "off", _call("@vault", "__setattr__", "secret", 1)),
            Request(3, "import", "off", {"module": "antigravity"}),
            Request(4, "close", "off", {}),
        ):
            thief._socket.send_multipart(thief._codec.encode(message, None))
        assert thief.ask("ping").value == "pong"
        assert "antigravity" not in sys.modules

    def test_only_actions_are_carried_out(self, thief):
        for action in ("_call_obj", "resolve", "run", "__class__", "_names", ""):
            assert_refused(thief.ask(action))

    @pytest.mark.parametrize(
        "options",
        [
            {"obj": ["@vault", "number"], "args": [], "kwargs": {5: 5}},
            {"obj": ["@vault", "number"], "args": [], "kwargs": {b"x": 5}},
            {"obj": ["@vault", "number"], "args": [], "kwargs": []},
            {"obj": ["@vault", 5], "args": [], "kwargs": {}},
            {"obj": ["@vault", ["number"]], "args": [], "kwargs": {}},
            {"obj": [], "args": [], "kwargs": {}},
            {"obj": "@vault", "args": [], "kwargs": {}},
            {"obj": ["@vault", "number"], "args": (), "kwargs": {}},
            {"obj": ["@vault", "number"], "args": [], "kwargs": {}, "more": 1},
        ],
    )
    def test_what_has_another_shape(self, thief, options):
        assert_refused(thief.ask("call_obj", **options))


def _call(ref, name, *args):
    return {"obj": Target(ref, [name]), "args": list(args), "kwargs": {}}
