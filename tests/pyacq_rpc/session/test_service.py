from __future__ import annotations

import abc
import collections.abc
import functools
import threading
from typing import Protocol

import pytest

from pyacq_rpc import AccessDenied, Service, expose
from pyacq_rpc.session.policy import Policy
from pyacq_rpc.session.special import SPECIAL


def is_granted(policy: Policy, access, obj, name=None, owner=None, published=None):
    try:
        policy.check(access, obj, name, owner, published or {})
    except AccessDenied:
        return False
    return True


def may_call_by_name(policy, obj, name):
    return is_granted(policy, "call", getattr(obj, name), name, obj)


class Camera:
    """Nothing of it is marked."""

    def __init__(self):
        self.gain = 1
        self.hook = print

    def shoot(self):
        return "shot"

    def stop(self):
        return "stopped"

    @property
    def speed(self):
        return 1

    @speed.setter
    def speed(self, value):
        pass

    def __len__(self):
        return 3


class Marked:
    @expose
    def shoot(self):
        return self.stop

    def stop(self):
        return "stopped"

    @property
    @expose
    def function(self):
        return print

    @classmethod
    @expose
    def make(cls):
        return cls()

    @staticmethod
    @expose
    def add(a, b):
        return a + b

    @expose
    def __len__(self):
        return 3

    def __getitem__(self, key):
        return key

    @expose
    def __eq__(self, other):
        return True

    __hash__ = None


class Callable:
    def __call__(self):
        pass


class Exposed:
    @expose
    def __call__(self):
        pass


@expose
def marked():
    pass


def unmarked():
    pass


class TestServer:
    @pytest.mark.parametrize("access", ["get_item", "names", "ping", "time", "value"])
    def test_what_is_always_granted(self, access):
        assert is_granted(Service(), access, None, "name")

    @pytest.mark.parametrize(
        "access", ["set_item", "import", "transfer", "close", "delete", "delattr", "something new"]
    )
    def test_what_never_is(self, access):
        assert not is_granted(Service(), access, None, "name")
        assert not is_granted(Service({Camera: ["name"]}), access, Camera(), "name")

    def test_clients_are_not_shown_tracebacks(self):
        assert Service().tracebacks is False


class TestMarks:
    def test_attributes(self):
        thing = Marked()
        assert is_granted(Service(), "getattr", thing, "shoot")
        assert is_granted(Service(), "getattr", thing, "function")
        assert not is_granted(Service(), "getattr", thing, "stop")

    @pytest.mark.parametrize("name", ["__len__", "__class__", "__dict__", "_x", "", "shoot.x"])
    def test_names_that_are_never_got(self, name):
        assert not is_granted(Service(), "getattr", Marked(), name)
        assert not is_granted(Service(), "setattr", Marked(), name)

    def test_special_methods(self):
        thing = Marked()
        assert is_granted(Service(), "special", thing, "__len__")
        assert is_granted(Service(), "special", thing, "__eq__")
        assert is_granted(Service(), "special", thing, "__req__")
        for name in set(SPECIAL) - {"__len__", "__eq__", "__req__"}:
            assert not is_granted(Service(), "special", thing, name)

    def test_methods_are_called_by_name(self):
        for name in ("shoot", "make", "add"):
            assert may_call_by_name(Service(), Marked(), name)
        assert not may_call_by_name(Service(), Marked(), "stop")

    def test_methods_are_called_with_their_object(self):
        thing = Marked()
        assert is_granted(Service(), "call", thing.shoot)
        assert is_granted(Service(), "call", thing.make)
        assert not is_granted(Service(), "call", thing.stop)

    def test_not_with_any_other_object(self):
        """Who writes a method counts on what ``self`` is."""
        assert not is_granted(Service(), "call", Marked.shoot)

    def test_what_an_exposed_property_has_returned_is_not_called(self):
        assert not may_call_by_name(Service(), Marked(), "function")
        assert not is_granted(Service(), "call", Marked().function)

    def test_what_takes_a_methods_place_is_neither_got_nor_called(self):
        """It may be what a client has given for a callback."""
        thing = Marked()
        thing.shoot = unmarked
        assert not is_granted(Service(), "getattr", thing, "shoot")
        assert not may_call_by_name(Service(), thing, "shoot")

    def test_an_override_is_not_exposed_by_a_bound_method_of_its_own(self):
        class Sub(Marked):
            def shoot(self):
                pass

        assert not is_granted(Service(), "call", Sub().shoot)
        assert not is_granted(Service(), "call", super(Sub, Sub()).shoot)

    def test_nor_is_the_method_that_an_exposed_one_has_overridden(self):
        class Sub(Camera):
            @expose
            def shoot(self):
                return "better"

        sub = Sub()
        assert is_granted(Service(), "call", sub.shoot)
        assert not is_granted(Service(), "call", super(Sub, sub).shoot)

    def test_a_mark_gives_no_access_to_names_that_begin_with_an_underscore(self):
        class Private:
            _gain = expose(property(lambda self: 1, lambda self, value: None))

            @expose
            def _shoot(self):
                pass

        assert not is_granted(Service(), "getattr", Private(), "_gain")
        assert not is_granted(Service(), "setattr", Private(), "_gain")
        assert not may_call_by_name(Service(), Private(), "_shoot")
        assert not is_granted(Service(), "call", Private()._shoot)

    def test_functions_and_classes(self):
        assert is_granted(Service(), "call", marked)
        assert not is_granted(Service(), "call", unmarked)
        assert is_granted(Service(), "call", expose(type("New", (), {})))
        assert is_granted(Service(), "call", expose(lambda: None))
        assert is_granted(Service(), "call", expose(functools.partial(unmarked)))
        assert not is_granted(Service(), "call", Marked)

    def test_callable_objects(self):
        assert is_granted(Service(), "call", Exposed())
        assert not is_granted(Service(), "call", Callable())
        assert not is_granted(Service(), "call", Exposed)

    @pytest.mark.parametrize("function", [unmarked, len, Marked().stop, Marked, type, [].append])
    def test_what_is_published_is_called(self, function):
        assert is_granted(Service(), "call", function, published={"f": function})
        assert not is_granted(Service(), "call", function, published={"f": unmarked.__class__})

    def test_an_object_is_not_called_because_it_is_published(self):
        thing = Callable()
        assert not is_granted(Service(), "call", thing, published={"thing": thing})

    @pytest.mark.parametrize("cls", [Marked, type, int, Exposed, abc.ABC])
    @pytest.mark.parametrize("name", ["shoot", "mro", "__subclasses__", "register", "make"])
    def test_attributes_of_a_class_are_not_got(self, cls, name):
        assert not is_granted(Service(), "getattr", cls, name)
        assert not is_granted(Service(), "setattr", cls, name)
        assert not is_granted(Service(), "special", cls, "__instancecheck__")

    def test_not_even_if_its_metaclass_exposes_them(self):
        """What the class itself has of that name would come first."""

        class Meta(type):
            @expose
            def shoot(cls):
                return 1

            @expose
            def __len__(cls):
                return 1

            gain = expose(property(lambda cls: 1, lambda cls, value: None))

        class Hidden(metaclass=Meta):
            shoot = staticmethod(unmarked)

        for name in ("shoot", "gain"):
            assert not is_granted(Service(), "getattr", Hidden, name)
            assert not is_granted(Service(), "call", Hidden.shoot, name, Hidden)
        assert not is_granted(Service(), "setattr", Hidden, "gain")
        assert not is_granted(Service(), "special", Hidden, "__len__")


class Device(Protocol):
    gain: int

    def shoot(self) -> str: ...


class Adjustable(Device, Protocol):
    @property
    def speed(self) -> float: ...

    @speed.setter
    def speed(self, value: float) -> None: ...

    def __len__(self) -> int: ...

    def _private(self) -> None: ...


class Abstract(abc.ABC):
    @abc.abstractmethod
    def shoot(self):
        pass

    @property
    @abc.abstractmethod
    def gain(self):
        pass


class TestInterfaces:
    @pytest.mark.parametrize("interface", [Device, Adjustable, Abstract])
    def test_what_it_has_can_be_got_and_called(self, interface):
        service = Service({Camera: interface})
        assert is_granted(service, "getattr", Camera(), "gain")
        assert may_call_by_name(service, Camera(), "shoot")
        assert not is_granted(service, "getattr", Camera(), "hook")
        assert not may_call_by_name(service, Camera(), "stop")

    def test_what_it_inherits_too(self):
        service = Service({Camera: Adjustable})
        assert is_granted(service, "getattr", Camera(), "shoot")
        assert is_granted(service, "getattr", Camera(), "speed")

    def test_only_the_setter_of_a_property_lets_anything_be_set(self):
        service = Service({Camera: Adjustable})
        assert is_granted(service, "setattr", Camera(), "speed")
        assert not is_granted(service, "setattr", Camera(), "gain")
        assert not is_granted(service, "setattr", Camera(), "shoot")
        assert not is_granted(service, "setattr", Camera(), None)
        assert not is_granted(Service({Camera: Abstract}), "setattr", Camera(), "gain")

    def test_special_methods(self):
        assert is_granted(Service({Camera: Adjustable}), "special", Camera(), "__len__")
        assert not is_granted(Service({Camera: Device}), "special", Camera(), "__len__")
        for name in set(SPECIAL) - {"__len__"}:
            assert not is_granted(Service({Camera: Adjustable}), "special", Camera(), name)

    @pytest.mark.parametrize("interface", [Device, Adjustable, Abstract, collections.abc.Mapping])
    def test_nothing_else_comes_along(self, interface):
        service = Service({Camera: interface})
        for name in {*dir(interface), "register", "mro"}:
            if name.startswith("_"):
                assert not is_granted(service, "getattr", Camera(), name)
        assert not is_granted(service, "getattr", Camera(), "register")
        assert not is_granted(service, "special", Camera(), "__setattr__")
        assert not is_granted(service, "special", Camera(), "__dir__")

    def test_interfaces_of_the_standard_library(self):
        service = Service({Camera: collections.abc.Sized})
        assert is_granted(service, "special", Camera(), "__len__")


class TestNames:
    def test_they_can_be_got_and_called(self):
        service = Service({Camera: ["shoot", "gain", "__len__"]})
        assert may_call_by_name(service, Camera(), "shoot")
        assert is_granted(service, "getattr", Camera(), "gain")
        assert is_granted(service, "special", Camera(), "__len__")
        assert not is_granted(service, "getattr", Camera(), "stop")

    def test_they_cannot_be_set(self):
        service = Service({Camera: ["speed", "gain"]})
        assert not is_granted(service, "setattr", Camera(), "speed")
        assert not is_granted(service, "setattr", Camera(), "gain")

    def test_what_an_object_holds_is_not_called(self):
        assert not may_call_by_name(Service({Camera: ["hook"]}), Camera(), "hook")

    def test_they_are_those_of_subclasses_too(self):
        class Better(Camera):
            def shoot(self):
                return "better"

        assert may_call_by_name(Service({Camera: ["shoot"]}), Better(), "shoot")
        assert not may_call_by_name(Service({Better: ["shoot"]}), Camera(), "shoot")

    def test_what_only_claims_to_be_of_the_class_is_not(self):
        class Liar:
            __class__ = Camera

            def shoot(self):
                pass

        assert isinstance(Liar(), Camera)
        assert not may_call_by_name(Service({Camera: ["shoot"]}), Liar(), "shoot")

    def test_methods_of_builtin_types(self):
        service = Service({dict: ["get"], Camera: ["__call__"]})
        assert may_call_by_name(service, {}, "get")
        assert not may_call_by_name(service, {}, "pop")

    def test_a_special_method_that_the_class_does_not_have(self):
        """Python would do without it, by another one that is not exposed."""
        assert not is_granted(Service({Camera: ["__bool__"]}), "special", Camera(), "__bool__")


class TestWrongMembers:
    @pytest.mark.parametrize("name", ["_gain", "__dict__", "__setattr__", "__getattribute__", ""])
    def test_names_that_are_never_exposed(self, name):
        with pytest.raises(ValueError, match="never exposed"):
            Service({Camera: ["shoot", name]})

    @pytest.mark.parametrize("names", ["shoot", [5], [], 5, None])
    def test_what_is_no_list_of_names(self, names):
        with pytest.raises(TypeError):
            Service({Camera: names})

    def test_a_class_is_no_interface(self):
        with pytest.raises(TypeError, match="neither a Protocol"):
            Service({Camera: Camera})

    def test_members_belong_to_classes(self):
        with pytest.raises(TypeError, match="is none"):
            Service({Camera(): ["shoot"]})


def generate():
    yield 1


class TestIteration:
    @pytest.mark.parametrize(
        "iterator",
        [
            generate(),
            iter([]),
            iter({}),
            iter({}.items()),
            iter("a"),
            iter(range(3)),
            reversed([]),
            zip([], []),
            map(str, []),
            enumerate([]),
        ],
        ids=lambda iterator: type(iterator).__name__,
    )
    def test_iterators_of_builtin_types(self, iterator):
        assert is_granted(Service(), "special", iterator, "__iter__")
        assert is_granted(Service(), "special", iterator, "__next__")
        assert not is_granted(Service(), "special", iterator, "__len__")
        for name in ("gi_frame", "gi_code", "send", "throw", "close", "__reduce__"):
            assert not is_granted(Service(), "getattr", iterator, name)

    @pytest.mark.parametrize("thing", [[], {}, Camera(), threading.Lock(), open])
    def test_other_things_are_not_iterated_over(self, thing):
        assert not is_granted(Service(), "special", thing, "__iter__")
        assert not is_granted(Service(), "special", thing, "__next__")


class TestArguments:
    @pytest.mark.parametrize("thing", [Camera(), [], generate(), object()])
    def test_objects_come_home(self, thing):
        assert is_granted(Service(), "argument", thing)

    @pytest.mark.parametrize("thing", [unmarked, len, Camera, Callable(), Marked().stop])
    def test_what_the_client_may_not_call_does_not(self, thing):
        """Who gets it might call it, for a callback."""
        assert not is_granted(Service(), "argument", thing)

    @pytest.mark.parametrize("thing", [marked, Exposed(), Marked().shoot])
    def test_what_the_client_may_call_does(self, thing):
        assert is_granted(Service(), "argument", thing)

    def test_methods_by_name(self):
        thing = Marked()
        assert is_granted(Service(), "argument", thing.shoot, "shoot", thing)
        assert is_granted(Service(), "argument", thing.add, "add", thing)
        assert not is_granted(Service(), "argument", thing.function, "function", thing)

    def test_what_is_published(self):
        assert is_granted(Service(), "argument", unmarked, published={"f": unmarked})


class TestSentences:
    """They say what was refused on what, and what can be done."""

    @pytest.mark.parametrize(
        ("access", "obj", "name", "sentence"),
        [
            ("getattr", Camera(), "stop", "'stop' of .*Camera is not exposed; .*with @expose"),
            ("getattr", Camera(), "stop", r"owner can .* name it in Service\({Camera: \.\.\.}\)"),
            ("special", Camera(), "__len__", "'__len__' of .*Camera is not exposed; .*@expose"),
            ("setattr", Camera(), "gain", "'gain' of .*Camera may not be set; .*setter"),
            ("setattr", Camera(), None, "an attribute of .*Camera may not be set; "),
            ("delattr", Camera(), "gain", "'gain' of .*Camera may not be deleted; .*method"),
            ("getattr", Camera, "mro", r"'mro' of class .*\.Camera is not exposed; "),
            ("call", unmarked, None, "function unmarked may not be called; .*@expose.*publish"),
            (
                "argument",
                unmarked,
                None,
                "function unmarked may not be passed on, .*@expose.*publish",
            ),
            (
                "delete",
                Camera(),
                None,
                "reference to .*Camera may not be deleted.*; drop the proxy",
            ),
            ("set_item", None, "os", "nothing may be published, so not 'os'; "),
            ("import", None, "os", "nothing may be imported, so not 'os'; .*expose a method"),
            ("transfer", None, None, "no objects may be put into this server; "),
            ("close", None, None, "this server may not be closed by its clients; "),
            ("something new", None, None, "something new is refused; "),
            ("getattr", Camera(), "{cls}{0}", r"'\{cls\}\{0\}' of "),
            ("getattr", Camera(), "\ud800" * 1000, "'.{79} of "),
        ],
    )
    def test_what_is_said(self, access, obj, name, sentence):
        with pytest.raises(AccessDenied, match=sentence):
            Service().check(access, obj, name)
