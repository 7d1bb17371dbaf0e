"""Every special method, through a real server."""

from __future__ import annotations

import copy
import inspect
import math
import operator
import pickle

import numpy as np
import pytest

from pyacq_rpc import ObjectProxy


@pytest.fixture
def there(server, client):
    """Sends an object to the server and returns a proxy to it."""
    return lambda obj: client.transfer(obj)


BINARY = [
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    operator.floordiv,
    operator.mod,
    operator.pow,
    operator.lshift,
    operator.rshift,
    operator.and_,
    operator.or_,
    operator.xor,
    divmod,
    operator.eq,
    operator.ne,
    operator.lt,
    operator.le,
    operator.gt,
    operator.ge,
]


@pytest.mark.parametrize("op", BINARY, ids=lambda op: op.__name__)
def test_binary_operators_both_ways(there, op):
    assert op(there(13), 3) == op(13, 3)
    assert op(13, there(3)) == op(13, 3)
    assert op(there(13), there(3)) == op(13, 3)


@pytest.mark.parametrize(
    "op", [operator.neg, operator.pos, operator.invert, abs, round, int, float]
)
def test_unary_operators_and_conversions(there, op):
    assert op(there(-7)) == op(-7)
    assert type(op(there(-7))) is type(op(-7))


def test_more_conversions(there):
    assert complex(there(2.5)) == 2.5
    assert round(there(2.567), 1) == 2.6
    assert [10, 20, 30][there(1)] == 20
    assert bytes(there(b"abc")) == b"abc"
    assert bool(there([])) is False
    assert bool(there([0])) is True
    assert len(there([1, 2])) == 2
    assert f"{there(3.14159):.2f}" == "3.14"
    assert math.floor(there(2.5)._get_value()) == 2


def test_matrix_multiplication_both_ways(there):
    a, b = np.arange(6).reshape(2, 3), np.arange(6).reshape(3, 2)
    assert np.array_equal(there(a) @ b, a @ b)
    assert np.array_equal(a @ there(b), a @ b)
    assert np.array_equal(a + there(a), a + a)
    assert np.array_equal(there(a) == a, np.ones((2, 3), bool))


def test_power_with_a_modulus(there):
    assert pow(there(7), 3, 5) == pow(7, 3, 5)


def test_in_place_on_something_mutable_keeps_the_proxy(there):
    numbers = proxy = there([1, 2])
    numbers += [3]
    assert numbers is proxy
    assert numbers._get_value() == [1, 2, 3]
    numbers *= 2
    assert len(numbers) == 6


def test_in_place_on_something_immutable_gives_the_new_value(there):
    number = there(5)
    number += 1
    assert number == 6
    assert type(number) is int


def test_in_place_on_attributes_and_items(server, client):
    class Counter:
        count = 1

    counter = Counter()
    server["counter"] = counter
    proxy = client["counter"]
    proxy.count += 1
    assert counter.count == 2
    counter.list = [1]
    proxy.list += [2]
    assert counter.list == [1, 2]
    counter.items = {"a": 1}
    proxy.items["a"] += 1
    assert counter.items == {"a": 2}


def test_items(there):
    numbers = there({1: "a", (2, 3): "b"})
    assert numbers[1] == "a"
    assert numbers[2, 3] == "b"
    numbers["x"] = [1]
    del numbers[1]
    assert numbers._get_value() == {(2, 3): "b", "x": [1]}
    with pytest.raises(KeyError):
        numbers["nope"]
    array = there(np.arange(12).reshape(3, 4))
    assert np.array_equal(array[1, ...], [4, 5, 6, 7])
    assert np.array_equal(array[:, ::2], np.arange(12).reshape(3, 4)[:, ::2])
    assert array[None].shape == (1, 3, 4)


def test_attributes(server, client):
    class Camera:
        gain = 2

    server["camera"] = camera = Camera()
    proxy = client["camera"]
    proxy.gain = 3
    assert camera.gain == 3
    assert proxy.gain == 3
    del proxy.gain
    assert camera.gain == 2
    with pytest.raises(AttributeError):
        del proxy.nothing
    assert "gain" in dir(proxy)
    assert hasattr(proxy, "gain")
    assert not hasattr(proxy, "nothing")


def test_iteration(there):
    assert list(there([1, 2, 3])) == [1, 2, 3]
    assert list(reversed(there([1, 2, 3]))) == [3, 2, 1]
    assert list(there({"a": 1})) == ["a"]
    assert sorted(there({3, 1, 2})) == [1, 2, 3]
    a, (b, c) = there([1, [2, 3]])
    assert (a, b, c) == (1, 2, 3)
    assert dict(there({"a": 1}).items()) == {"a": 1}
    with pytest.raises(TypeError, match="not iterable"):
        iter(there(5))
    iterator = iter(there([1]))
    assert next(iterator) == 1
    with pytest.raises(StopIteration):
        next(iterator)


def test_membership(there):
    assert 2 in there([1, 2])
    assert 3 not in there([1, 2])
    assert "a" in there({"a": 1})
    assert there([1, 2]) in [[1, 2]]


def test_a_context_manager_there(server, client, tmp_path):
    path = tmp_path / "file"
    with client._import("builtins").open(str(path), "w") as file:
        file.write("hello")
    assert path.read_text() == "hello"
    assert file.closed


def test_what_a_with_block_raises_is_told_there(server, client):
    class Manager:
        def __enter__(self):
            return 5

        def __exit__(self, kind, error, tb):
            self.seen = (kind, str(error))
            return isinstance(error, KeyError)

    server["manager"] = manager = Manager()
    with client["manager"] as five:
        assert five == 5
        raise KeyError("x")
    assert issubclass(manager.seen[0], KeyError)
    with pytest.raises(ValueError, match="y"), client["manager"]:
        raise ValueError("y")
    with client["manager"]:
        pass
    assert manager.seen == (None, "None")


def test_isinstance_of_a_class_there(server, client):
    cls = client._import("collections").OrderedDict
    assert isinstance(cls(), cls)
    assert not isinstance(5, cls)
    assert issubclass(cls, cls)


def test_what_stays_local(there):
    proxy = there([1])
    assert repr(proxy).startswith("<ObjectProxy for list at tcp://")
    assert str(proxy) == repr(proxy)
    assert f"{proxy}" == repr(proxy)
    assert hash(proxy) == hash(copy.copy(proxy))
    assert {proxy: 1}[copy.copy(proxy)] == 1
    assert isinstance(copy.deepcopy(proxy), ObjectProxy)
    assert inspect.unwrap(proxy) is proxy
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(proxy)


def test_readable_dunders_are_forwarded(client):
    assert client._import("numpy").__version__ == np.__version__
    assert client._import("math").sqrt.__name__ == "sqrt"


def test_operators_follow_the_options_of_the_proxy(there):
    number = there(5)
    number._set_proxy_options(sync="async")
    assert (number + 1).result() == 6
    assert int(number) == 5
    assert [n for n in range(6) if n == number.__index__()] == [5]


def test_a_deferred_chain(server, client):
    os = client._import("os")
    assert os.path.sep.join(["a", "b"]) == "a/b"
    assert os.path.sep._undefer() == "/"
    assert isinstance(os.path._undefer(), ObjectProxy)
    assert os.path.sep._get_value() == "/"
    assert isinstance(os.path.sep._undefer(return_type="proxy"), ObjectProxy)
    assert os.path.sep._undefer(sync="async").result() == "/"


class Silent:
    """Knows no operator, and compares by identity."""


class Loud:
    """Knows its reflected operators only."""

    def __radd__(self, other):
        return "radd"

    def __eq__(self, other):
        return True

    def __gt__(self, other):
        return True

    __hash__ = None


def test_operands_that_know_nothing_of_each_other_end(there):
    near, far = Silent(), there(Silent())
    for one, other in ((near, far), (far, near), (far, there(Silent()))):
        assert not one == other  # noqa: SIM201  # both operators are the point
        assert one != other
        with pytest.raises(TypeError):
            one < other  # noqa: B015  # it raises
        with pytest.raises(TypeError):
            one + other
        with pytest.raises(TypeError):
            one -= other
    append = there([]).append
    assert append != type  # noqa: E721  # no comparison of types
    assert list not in [append]


def test_the_other_side_is_asked_once(there):
    assert there(Silent()) + Loud() == "radd"
    assert Silent() + there(Loud()) == "radd"
    assert there(Silent()) == Loud()
    assert there(Silent()) < Loud()
    assert Silent() < there(Loud())


def test_local_objects_come_back_as_themselves(server, client):
    mine = Silent()
    server["echo"] = lambda value: value
    assert client["echo"](mine) is mine
    assert client["echo"]([mine])[0] is mine


def test_tools_that_look_at_everything_end(there):
    import rlcompleter

    proxy = there([1])
    inspect.isfunction(proxy)
    inspect.signature(proxy)
    assert "proxy.append(" in rlcompleter.Completer({"proxy": proxy}).attr_matches("proxy.app")
