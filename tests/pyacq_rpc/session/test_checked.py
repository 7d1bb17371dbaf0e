from __future__ import annotations

import copy
import functools
from abc import ABC, abstractmethod
from typing import Protocol

import pytest

from pyacq_rpc.session.checked import CheckedProxy, signature_of
from pyacq_rpc.session.holding import Lease
from pyacq_rpc.session.proxy import ObjectProxy
from pyacq_rpc.wire.messages import Reference, Target


def wrapped(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


class Camera:
    gain = 1

    def expose(self, seconds: float, *, dark: bool = False) -> float:
        return seconds

    @staticmethod
    def bits(count: int) -> int:
        return count

    @classmethod
    def of(cls, serial: str) -> Camera:
        return cls()

    @wrapped
    def decorated(self, a, b=2):
        pass

    @property
    def lens(self):
        pass

    def any(self, *args, **kwargs):
        pass

    def __call__(self, a):
        pass


class Exposes(Protocol):
    def expose(self, seconds: float) -> float: ...


class Shutter(ABC):
    @abstractmethod
    def open(self, seconds: float) -> None: ...


class Home:
    peer = "A"

    def release(self, ref):
        pass


class Wire:
    """Link and client in one, which records what is sent."""

    address = "tcp://127.0.0.1:5000"

    def __init__(self):
        self.sent = []

    def client(self):
        return self

    def request(self, action, opts, return_type, sync, timeout, about):
        self.sent.append((opts["obj"], opts.get("args"), opts.get("kwargs"), sync, timeout))


@pytest.fixture
def wire():
    return Wire()


@pytest.fixture
def proxy(wire):
    reference = Reference(wire.address, "ref", "s.1", "Camera", [], "")
    return ObjectProxy(reference, wire, Lease("ref", Home()))


@pytest.fixture
def camera(proxy):
    return proxy.as_type(Camera, check=True)


class TestAsType:
    def test_it_is_the_proxy_itself(self, proxy):
        assert proxy.as_type(Camera) is proxy
        assert proxy.as_type(Exposes) is proxy
        assert proxy.as_type(dict[str, int]) is proxy

    @pytest.mark.parametrize("cls", ["Camera", 1, len, Camera()])
    @pytest.mark.parametrize("check", [True, False])
    def test_what_is_no_class_is_refused(self, proxy, wire, cls, check):
        with pytest.raises(TypeError, match=r"and .* is none"):
            proxy.as_type(cls, check=check)
        assert wire.sent == []

    def test_a_remote_attribute_of_that_name(self, proxy, wire):
        proxy.__getattr__("as_type")(1)
        assert wire.sent[-1][:2] == (Target("ref", ["as_type"]), [1])


class TestCalls:
    def test_what_fits_is_sent(self, camera, wire):
        camera.expose(0.1, dark=True, _sync="off", _timeout=3)
        camera.expose(seconds=1)
        assert wire.sent == [
            (Target("ref", ["expose"]), [0.1], {"dark": True}, "off", 3),
            (Target("ref", ["expose"]), [], {"seconds": 1}, None, -1.0),
        ]

    @pytest.mark.parametrize(
        ("call", "words"),
        [
            (lambda c: c.expose(), "missing a required argument: 'seconds'"),
            (lambda c: c.expose(1, 2), "too many positional arguments"),
            (lambda c: c.expose(1, drak=True), "unexpected keyword argument 'drak'"),
            (lambda c: c.expose(1, seconds=1), "multiple values for argument 'seconds'"),
            (lambda c: c.expose(1, _sync="off", _wrong=1), "'_wrong'"),
            (lambda c: c.bits(), "missing a required argument: 'count'"),
            (lambda c: c.of(), "missing a required argument: 'serial'"),
            (lambda c: c.decorated(), "missing a required argument: 'a'"),
            (lambda c: c(), "missing a required argument: 'a'"),
            (lambda c: copy.copy(c).expose(), "missing a required argument: 'seconds'"),
        ],
    )
    def test_what_does_not_is_not(self, camera, wire, call, words):
        with pytest.raises(TypeError, match=words):
            call(camera)
        assert wire.sent == []

    def test_the_error_names_the_method_and_what_it_takes(self, camera):
        with pytest.raises(TypeError) as caught:
            camera.expose()
        assert str(caught.value) == (
            "Camera.expose(seconds: float, *, dark: bool = False) -> float:"
            " missing a required argument: 'seconds'"
        )

    @pytest.mark.parametrize("cls", [Exposes, Shutter])
    def test_protocols_and_abstract_base_classes(self, proxy, wire, cls):
        thing = proxy.as_type(cls, check=True)
        method = thing.expose if cls is Exposes else thing.open
        with pytest.raises(TypeError, match="too many positional arguments"):
            method(1, 2)
        method(1)
        assert len(wire.sent) == 1

    def test_what_the_class_does_not_tell_is_not_checked(self, camera, wire):
        camera.unknown(1, 2, 3)
        camera.lens(1, 2)
        camera.gain(1)
        camera.any(1, 2, x=3)
        camera.lens.expose(1, 2, 3, 4)  # of another class
        camera.expose.expose()
        assert len(wire.sent) == 6

    def test_any_value_will_do(self, camera, wire, proxy):
        for value in ("0.1", None, proxy):
            camera.expose(value)
        assert len(wire.sent) == 3

    def test_generic_classes(self, proxy, wire):
        thing = proxy.as_type(list[int], check=True)
        thing.append(1)
        with pytest.raises(TypeError, match=r"append\(object, /\): too many positional"):
            thing.append(1, 2)


class TestTheProxy:
    def test_it_is_one_of_the_same_object(self, camera, proxy):
        assert type(camera) is CheckedProxy
        assert hash(camera) == hash(proxy)
        assert repr(camera.expose) == repr(proxy.expose)

    def test_it_keeps_the_options(self, proxy, wire):
        proxy._set_proxy_options(sync="off", timeout=5)
        proxy.as_type(Camera, check=True).expose(1)
        assert wire.sent[0][3:] == ("off", 5)

    def test_attributes_are_kept(self, camera):
        assert camera.expose is camera.expose


class TestSignatureOf:
    @pytest.mark.parametrize(
        ("cls", "name", "signature"),
        [
            (Camera, "bits", "(count: int) -> int"),
            (Camera, "of", "(serial: str) -> Camera"),
            (Camera, "any", "(*args, **kwargs)"),
            (Camera, "decorated", "(a, b=2)"),
            (list, "append", "(object, /)"),
        ],
    )
    def test_what_a_method_takes(self, cls, name, signature):
        assert str(signature_of(cls, name)) == signature

    @pytest.mark.parametrize(
        ("cls", "name"),
        [
            (Camera, "gain"),
            (Camera, "lens"),
            (Camera, "nothing"),
            (dict, "update"),
            (Camera, "__x"),
        ],
    )
    def test_what_is_not_known(self, cls, name):
        assert signature_of(cls, name) is None
