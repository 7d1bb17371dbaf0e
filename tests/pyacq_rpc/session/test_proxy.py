from __future__ import annotations

import copy
import inspect
import operator
import pickle

import numpy as np
import pytest

from pyacq_rpc.session.forwarding import SpecialMethods
from pyacq_rpc.session.holding import Lease
from pyacq_rpc.session.iterating import Iterating
from pyacq_rpc.session.options import NO_TIMEOUT_GIVEN
from pyacq_rpc.session.proxy import ObjectProxy
from pyacq_rpc.session.special import BINARY, COMPARISONS, INPLACE, SPECIAL
from pyacq_rpc.wire.messages import Reference, Target

REFERENCE = Reference("tcp://127.0.0.1:5", "ref", "server.1f", "mylab.Camera", [], "")


class Home:
    def __init__(self):
        self.released = []

    def release(self, ref):
        self.released.append(ref)

    def grant(self, ref):
        return "token"

    def withdraw(self, token):
        pass


class Wire:
    """Link and client in one: records what is sent, and answers what it is told to."""

    address = REFERENCE.address

    def __init__(self):
        self.sent = []
        self.modes = []
        self.held = []
        self.answer = None

    def client(self):
        return self

    def request(self, action, opts, return_type, sync, timeout, about):
        self.sent.append((action, opts))
        self.modes.append((sync, return_type, timeout))
        self.held.append(about._lease)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    @property
    def special(self):
        """Name and arguments of the one special method that was called."""
        ((action, opts),) = self.sent
        assert action == "call_obj"
        assert opts["kwargs"] == {}
        self.sent.clear()
        return opts["obj"].attributes[-1], *opts["args"]


@pytest.fixture
def wire():
    return Wire()


@pytest.fixture
def proxy(wire):
    return ObjectProxy(REFERENCE, wire, Lease("ref", Home()))


def call(*attributes, args=(), **kwargs):
    target = Target("ref", list(attributes))
    return ("call_obj", {"obj": target, "args": list(args), "kwargs": kwargs})


class TestCalls:
    def test_a_chain_is_one_request(self, proxy, wire):
        wire.answer = 5
        assert proxy.a.b.c(1, x=2) == 5
        assert wire.sent == [call("a", "b", "c", args=[1], x=2)]

    def test_looking_attributes_up_sends_nothing(self, proxy, wire):
        proxy.a.b.c  # noqa: B018
        assert wire.sent == []

    def test_attributes_share_the_lease(self, proxy, wire):
        proxy.a.b()
        assert wire.held == [proxy._lease]

    def test_getting_the_value(self, proxy, wire):
        proxy.a._get_value(_timeout=3)
        assert wire.sent == [("get_obj", {"obj": Target("ref", ["a"])})]
        assert wire.modes == [(None, "value", 3)]

    def test_undeferring(self, proxy, wire):
        proxy.a._undefer(return_type="proxy")
        assert wire.sent == [("get_obj", {"obj": Target("ref", ["a"])})]
        assert wire.modes == [(None, "proxy", NO_TIMEOUT_GIVEN)]

    def test_deleting(self, proxy, wire):
        proxy._delete()
        assert wire.sent == [("delete", {"obj_id": "server.1f", "ref_id": "ref"})]


class TestOptions:
    def test_of_a_call(self, proxy, wire):
        proxy(1, _sync="async", _return_type="proxy", _timeout=None)
        assert wire.modes == [("async", "proxy", None)]
        assert wire.sent == [call(args=[1])]

    def test_without_any_the_client_decides(self, proxy, wire):
        proxy()
        assert wire.modes == [(None, None, NO_TIMEOUT_GIVEN)]

    def test_of_a_proxy(self, proxy, wire):
        proxy._set_proxy_options(sync="off", return_type="value", timeout=2)
        proxy()
        proxy.a.b()
        assert wire.modes == [("off", "value", 2)] * 2

    def test_a_call_overrides_its_proxy(self, proxy, wire):
        proxy._set_proxy_options(sync="off", timeout=2)
        proxy(_sync="sync", _timeout=None)
        assert wire.modes == [("sync", None, None)]

    def test_they_add_up(self, proxy, wire):
        proxy._set_proxy_options(sync="async")
        proxy._set_proxy_options(timeout=None)
        proxy()
        assert wire.modes == [("async", None, None)]

    def test_an_attribute_made_before_keeps_its_own(self, proxy, wire):
        early = proxy.a
        proxy._set_proxy_options(sync="async")
        early()
        assert wire.modes == [(None, None, NO_TIMEOUT_GIVEN)]

    def test_of_an_attribute_do_not_reach_back(self, proxy, wire):
        attribute = proxy.a
        attribute._set_proxy_options(sync="async")
        attribute()
        proxy()
        assert [sync for sync, _, _ in wire.modes] == ["async", None]

    def test_unknown_ones_are_refused(self, proxy):
        with pytest.raises(TypeError, match="retrun_type"):
            proxy._set_proxy_options(retrun_type="value")
        with pytest.raises(ValueError, match="sync, async, off"):
            proxy._set_proxy_options(sync="maybe")
        with pytest.raises(ValueError, match="auto, proxy, value"):
            proxy._set_proxy_options(return_type="copy")

    def test_what_python_needs_at_once_is_not_put_off(self, proxy, wire):
        proxy._set_proxy_options(sync="async", return_type="proxy")
        for convert, answer in ((len, 3), (int, 3), (bool, True)):
            wire.answer = answer
            assert convert(proxy) == answer
        assert wire.modes == [("now", "auto", NO_TIMEOUT_GIVEN)] * 3


class TestAssignments:
    def test_setting(self, proxy, wire):
        proxy.a.b = 5
        assert wire.sent == [call("a", "__setattr__", args=["b", 5])]

    def test_deleting(self, proxy, wire):
        del proxy.a.b
        assert wire.sent == [call("a", "__delattr__", args=["b"])]

    def test_items(self, proxy, wire):
        wire.answer = 7
        assert proxy.a[1:2, ...] == 7
        proxy[1] = 2
        del proxy[1]
        assert wire.sent == [
            call("a", "__getitem__", args=[(slice(1, 2), ...)]),
            call("__setitem__", args=[1, 2]),
            call("__delitem__", args=[1]),
        ]

    def assign(self, proxy):
        proxy.a = 5
        del proxy.a
        proxy["a"] = 5
        del proxy["a"]

    def test_their_errors_are_raised(self, proxy, wire):
        wire.answer = AttributeError("read-only")
        with pytest.raises(AttributeError, match="read-only"):
            proxy.a = 5

    def test_they_wait_for_errors_since_nobody_gets_the_future(self, proxy, wire):
        proxy._set_proxy_options(sync="async")
        self.assign(proxy)
        assert [sync for sync, _, _ in wire.modes] == ["now"] * 4

    def test_they_do_not_wait_if_told_so(self, proxy, wire):
        proxy._set_proxy_options(sync="off")
        self.assign(proxy)
        assert [sync for sync, _, _ in wire.modes] == ["off"] * 4


class TestQuestions:
    def test_hasattr_asks(self, proxy, wire):
        assert hasattr(proxy, "there")
        assert wire.sent == [("get_obj", {"obj": Target("ref", ["there"])})]
        assert wire.modes == [("sync", "ack", NO_TIMEOUT_GIVEN)]
        wire.answer = AttributeError("not there")
        assert not hasattr(proxy, "not_there")
        assert getattr(proxy, "not_there", 5) == 5

    def test_dir_asks(self, proxy, wire):
        wire.answer = ["b", "a"]
        assert dir(proxy) == ["a", "b"]
        assert wire.special == ("__dir__",)

    @pytest.mark.parametrize(
        "name",
        [
            "_repr_html_",
            "_repr_mimebundle_",
            "_repr_png_",
            "_ipython_display_",
            "_ipython_x",
            "_ipython_canary_method_should_not_exist_",
            "__array__",
            "__array_interface__",
            "__array_struct__",
            "__array_function__",
            "__wrapped__",
            "__dict__",
            "__unlisted__",
            "__fspath__",
            "__len_hint__",
            "__await__",
            "__aenter__",
            "__set_name__",
        ],
    )
    def test_what_only_tools_ask_for_is_answered_here(self, proxy, wire, name):
        assert not hasattr(proxy, name)
        assert getattr(proxy, name, None) is None
        with pytest.raises(AttributeError, match="does not forward"):
            operator.attrgetter(name)(proxy)
        assert wire.sent == []

    def test_names_that_people_read_are_forwarded(self, proxy, wire):
        proxy.__name__._get_value()
        assert wire.sent == [("get_obj", {"obj": Target("ref", ["__name__"])})]

    def test_private_names_are_forwarded(self, proxy, wire):
        proxy._private()
        proxy._repr()
        assert wire.sent == [call("_private"), call("_repr")]


class TestLocal:
    """What must never send: debuggers and prompts do it without being asked."""

    def test_repr_and_str(self, proxy, wire):
        assert repr(proxy) == "<ObjectProxy for mylab.Camera at tcp://127.0.0.1:5>"
        assert "attribute a.b of mylab.Camera" in repr(proxy.a.b)
        assert str(proxy) == f"{proxy}" == repr(proxy)
        assert wire.sent == []

    def test_hash(self, proxy, wire):
        assert hash(proxy) == hash(copy.copy(proxy))
        assert hash(proxy) != hash(proxy.a)
        assert hash(proxy.a) == hash(proxy.a)
        assert wire.sent == []

    def test_two_references_to_one_object_hash_alike(self, proxy, wire):
        other = ObjectProxy(REFERENCE._replace(ref="other"), wire, None)
        assert hash(proxy) == hash(other)

    def test_copies_share_the_lease(self, proxy, wire):
        for copied in (copy.copy(proxy), copy.deepcopy([proxy])[0]):
            assert type(copied) is ObjectProxy
            assert copied._lease is proxy._lease
            assert copied._reference == proxy._reference
        assert copy.copy(proxy.a.b)._attributes == ("a", "b")
        assert wire.sent == []

    def test_the_lease_ends_with_the_last_of_them(self, wire):
        home = Home()
        proxy = ObjectProxy(REFERENCE, wire, Lease("ref", home))
        attribute, copied = proxy.a, copy.copy(proxy)
        del proxy, copied
        assert home.released == []
        del attribute
        assert home.released == ["ref"]

    def test_pickling_says_what_to_do(self, proxy, wire):
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            with pytest.raises(TypeError, match="pass it as an argument"):
                pickle.dumps(proxy, protocol)
        assert wire.sent == []

    def test_deriving_a_class_says_what_to_do(self, proxy, wire):
        with pytest.raises(TypeError, match=r"cannot be derived from <ObjectProxy .*_import"):

            class Derived(proxy):
                pass

        assert wire.sent == []

    def test_inspecting_ends(self, proxy, wire):
        assert inspect.unwrap(proxy) is proxy
        assert not inspect.isclass(proxy)
        assert callable(proxy)
        assert isinstance(proxy, ObjectProxy)
        assert not inspect.isawaitable(proxy)
        assert wire.sent == []

    def test_its_own_help(self, wire):
        assert inspect.getdoc(ObjectProxy).startswith("An object of another thread")
        assert next(iter(inspect.signature(ObjectProxy).parameters)) == "reference"
        assert wire.sent == []


OPERATORS = {
    **{name: getattr(operator, name, None) for name in BINARY},
    "divmod": divmod,
    "pow": pow,
    "and": operator.and_,
    "or": operator.or_,
}


class TestOperators:
    @pytest.mark.parametrize("name", BINARY)
    def test_binary_ones_and_their_reflections(self, proxy, wire, name):
        OPERATORS[name](proxy, 6)
        assert wire.special == (f"__{name}__", 6)
        OPERATORS[name](6, proxy)
        assert wire.special == (f"__r{name}__", 6)

    @pytest.mark.parametrize("name", COMPARISONS)
    def test_comparisons(self, proxy, wire, name):
        getattr(operator, name)(proxy, 6)
        assert wire.special == (f"__{name}__", 6)

    @pytest.mark.parametrize("name", INPLACE)
    def test_inplace_ones_keep_the_proxy_if_the_object_stays(self, proxy, wire, name):
        wire.answer = (True, None)
        assert getattr(operator, name)(proxy, 6) is proxy
        assert wire.special == (f"__{name}__", 6)
        wire.answer = (False, "another")
        assert getattr(operator, name)(proxy, 6) == "another"

    @pytest.mark.parametrize(
        ("run", "sent"),
        [
            (operator.neg, ("__neg__",)),
            (operator.pos, ("__pos__",)),
            (abs, ("__abs__",)),
            (operator.invert, ("__invert__",)),
            (round, ("__round__",)),
            (lambda p: round(p, 2), ("__round__", 2)),
            (lambda p: pow(p, 2, 3), ("__pow__", 2, 3)),
            (lambda p: format(p, ".2f"), ("__format__", ".2f")),
        ],
    )
    def test_others(self, proxy, wire, run, sent):
        wire.answer = "x"
        run(proxy)
        assert wire.special == sent

    @pytest.mark.parametrize(
        ("run", "answer", "sent"),
        [
            (len, 3, ("__len__",)),
            (bool, False, ("__bool__",)),
            (int, 3, ("__int__",)),
            (float, 3.0, ("__float__",)),
            (complex, 3j, ("__complex__",)),
            (operator.index, 3, ("__index__",)),
            (bytes, b"x", ("__bytes__",)),
            (lambda p: 5 in p, True, ("__contains__", 5)),
            (next, 5, ("__next__",)),
            (lambda p: isinstance(5, p), True, ("__instancecheck__", 5)),
            (lambda p: issubclass(int, p), True, ("__subclasscheck__", int)),
        ],
    )
    def test_conversions(self, proxy, wire, run, answer, sent):
        wire.answer = answer
        assert run(proxy) == answer
        assert wire.special == sent

    def test_a_numpy_array_leaves_it_to_the_proxy(self, proxy, wire):
        for left in (np.arange(3), np.float64(1.5), np.zeros(())):
            left + proxy
            name, sent = wire.special
            assert name == "__radd__"
            assert sent is left or sent == left

    def test_with(self, proxy, wire):
        wire.answer = (True, None)
        with proxy as entered:
            assert entered is proxy
            assert wire.special == ("__enter__",)
            wire.answer = False
        assert wire.special == ("__exit__", None)

    def test_with_another_object(self, proxy, wire):
        wire.answer = (False, "entered")
        with proxy as entered:
            assert entered == "entered"
            wire.answer = True

    def test_with_an_error(self, proxy, wire):
        wire.answer = (True, None)

        def fail():
            with proxy:
                wire.sent.clear()
                wire.answer = False
                raise KeyError("x")

        with pytest.raises(KeyError):
            fail()
        name, failure = wire.special
        assert name == "__exit__"
        assert failure[2] == "KeyError"

    def test_the_owner_knows_every_special_method_that_is_forwarded(self):
        local = {"copy", "deepcopy", "hash", "repr", "reduce_ex", "mro_entries"}
        local |= {"init", "getattr", "call", "new"}
        local |= {"aiter"}  # as for `iter`
        forwarded = {
            name
            for owner in (SpecialMethods, Iterating, ObjectProxy)
            for name, member in vars(owner).items()
            if name.startswith("__") and callable(member)
        }
        # Comparisons that are asked once are sent by owners, not by proxies.
        asked_once = {f"__r{name}__" for name in COMPARISONS}
        assert forwarded - {f"__{name}__" for name in local} == SPECIAL.keys() - asked_once
