from __future__ import annotations

import inspect
import pydoc
import types

import pytest

from pyacq_rpc.errors import CallTimeout, ProtocolError, ServerDisconnected
from pyacq_rpc.session.proxy import NO_TIMEOUT_GIVEN, ObjectProxy
from pyacq_rpc.session.questions import (
    PATIENCE,
    ask_description,
    ask_list,
    calling_module,
    is_completion,
    signature_of,
)
from pyacq_rpc.wire.messages import Reference

REFERENCE = Reference("tcp://127.0.0.1:5", "ref", "server.1f", "mylab.Camera", [], "")
TOLD = {
    "doc": "Take some.",
    "type": "method",
    "signature": [[["seconds", 1, None, "float"], ["count", 3, ["value", 1], None]], "list"],
}


class Wire:
    """Link and client in one, which answers what it is told to."""

    address = REFERENCE.address

    def __init__(self):
        self.asked = []
        self.timeouts = []
        self.answer = TOLD

    def client(self):
        return self

    def request(self, action, opts, return_type, sync, timeout, holding):
        target = opts["obj"]
        self.asked.append((action, *target.attributes, *opts.get("args", ())))
        self.timeouts.append(timeout)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def wire():
    return Wire()


@pytest.fixture
def shoot(wire):
    return ObjectProxy(REFERENCE, wire, None, ("shoot",))


def asked_from(module, code, **names):
    """Run code as that of a module of that name."""
    namespace = vars(types.ModuleType(module))
    namespace.update(names)
    exec(code, namespace)
    return namespace.get("found")


UNANSWERED = [CallTimeout("busy"), ServerDisconnected("gone"), ProtocolError("odd")]
GARBAGE = [
    None,
    5,
    "text",
    {"signature": 5},
    {"signature": [[["not a name", 1, None, None]], None]},
    {"signature": [[["x", 77, None, None]], None]},
    {"signature": [[["x"]], None]},
]


class TestSignature:
    def test_is_that_of_the_function(self, wire, shoot):
        signature = inspect.signature(shoot)
        assert str(signature) == "(seconds: float, *, count=1) -> list"
        assert signature.parameters["count"].default == 1
        assert set(wire.asked) == {("call_obj", "shoot", "__describe__")}
        assert max(wire.timeouts) == PATIENCE

    @pytest.mark.parametrize("answer", [*UNANSWERED, *GARBAGE], ids=repr)
    def test_that_is_not_known(self, wire, shoot, answer):
        wire.answer = answer
        with pytest.raises(ValueError, match=r"signature of <Obj.* is not known"):
            inspect.signature(shoot)
        assert len(wire.asked) == 1
        assert not hasattr(shoot, "__signature__")

    @pytest.mark.parametrize("answer", GARBAGE[3:], ids=repr)
    def test_garbage_is_refused(self, answer):
        with pytest.raises(ProtocolError):
            signature_of(answer)

    def test_can_be_bound(self, shoot):
        assert inspect.signature(shoot).bind(5, count=2).arguments == {"seconds": 5, "count": 2}


class TestDoc:
    def test_is_that_of_the_object(self, wire, shoot):
        assert shoot.__doc__ == inspect.getdoc(shoot) == "Take some."
        assert ObjectProxy.__doc__.startswith("An object of another thread")

    @pytest.mark.parametrize("answer", [*UNANSWERED, *GARBAGE, {"doc": 5}], ids=repr)
    def test_that_is_not_known_is_none(self, wire, shoot, answer):
        wire.answer = answer
        assert shoot.__doc__ is None

    def test_of_a_class_of_proxies_is_its_own(self):
        class Special(ObjectProxy):
            """A special one."""

        assert Special.__doc__ == "A special one."


class TestHelp:
    def test_is_that_of_the_other_side(self, wire, shoot):
        wire.answer = {**TOLD, "help": "Help on method shoot"}
        assert "Help on method shoot" in pydoc.render_doc(shoot)
        assert wire.asked == [("call_obj", "shoot", "__describe__", "help")]  # once

    def test_of_those_who_tell_less(self, shoot):
        text = pydoc.render_doc(shoot)
        assert "shoot(seconds: float, *, count=1) -> list" in text
        assert "Take some." in text

    def test_says_why_it_is_not_known(self, wire, shoot):
        wire.answer = ServerDisconnected("w is gone")
        assert "w is gone" in pydoc.render_doc(shoot)
        assert len(wire.asked) == 1


class TestCompletion:
    @pytest.mark.parametrize("module", ["IPython.core.completer", "jedi.api", "rlcompleter"])
    def test_is_known_by_who_asks(self, module):
        assert asked_from(module, "found = ask()", ask=lambda: is_completion())
        assert not asked_from("mylab", "found = ask()", ask=lambda: is_completion())

    def test_dir_is_asked_with_patience(self, wire, shoot):
        wire.answer = ["b", "a"]
        assert asked_from("rlcompleter", "found = dir(proxy)", proxy=shoot) == ["a", "b"]
        assert dir(shoot) == ["a", "b"]
        assert wire.timeouts == [PATIENCE, NO_TIMEOUT_GIVEN]

    @pytest.mark.parametrize("answer", [*UNANSWERED, None, 5], ids=repr)
    def test_nothing_comes_of_no_answer(self, wire, shoot, answer):
        wire.answer = answer
        assert asked_from("rlcompleter", "found = dir(proxy)", proxy=shoot) == []
        assert shoot._ipython_key_completions_() == []
        assert ask_list(shoot, "__dir__") == []

    def test_dir_of_a_person_raises(self, wire, shoot):
        wire.answer = CallTimeout("busy")
        with pytest.raises(CallTimeout):
            dir(shoot)

    def test_keys(self, wire, shoot):
        wire.answer = ["red"]
        assert shoot._ipython_key_completions_() == ["red"]
        assert wire.asked == [("call_obj", "shoot", "__keys__")]

    def test_pythons_own_asks_for_no_name_that_dir_has_told(self, wire, shoot):
        found = asked_from("rlcompleter", "found = getattr(proxy, 'x')", proxy=shoot)
        assert isinstance(found, ObjectProxy)
        assert wire.asked == []


class TestGetattrOfAPrompt:
    def get(self, shoot):
        return asked_from(
            "IPython.core.interactiveshell", "found = getattr(proxy, 'x', None)", proxy=shoot
        )

    def test_asks_with_patience(self, wire, shoot):
        assert isinstance(self.get(shoot), ObjectProxy)
        assert wire.asked == [("get_obj", "shoot", "x")]
        assert wire.timeouts == [PATIENCE]

    def test_knows_what_is_missing(self, wire, shoot):
        wire.answer = AttributeError("x")
        assert self.get(shoot) is None

    @pytest.mark.parametrize("answer", UNANSWERED[:2], ids=repr)
    def test_does_not_take_silence_for_missing(self, wire, shoot, answer):
        wire.answer = answer
        assert isinstance(self.get(shoot), ObjectProxy)


def test_a_description_is_a_dict(wire, shoot):
    wire.answer = 5
    with pytest.raises(ProtocolError, match="was described by 'int'"):
        ask_description(shoot)


def test_the_module_that_calls():
    assert asked_from("mylab", "found = ask()", ask=lambda: calling_module(1)) == "mylab"
