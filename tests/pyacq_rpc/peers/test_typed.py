from __future__ import annotations

import asyncio
from typing import Protocol

import pytest
from conftest import eventually
from things import Thing

from pyacq_rpc import (
    CallTimeout,
    Future,
    ObjectProxy,
    SerializationError,
    as_type,
    asynchronous,
    get_value,
    off,
    synchronous,
)


class Adds(Protocol):
    def add(self, a: int, b: int) -> int: ...


@pytest.fixture
def typed(client, thing):
    """The thing as a checker sees it."""
    return client.get("thing", Thing)


class TestGet:
    def test_it_is_a_proxy(self, client, typed):
        assert isinstance(typed, ObjectProxy)
        assert typed.add(1, 2) == 3

    def test_checked_against_a_protocol(self, client, thing):
        adds = client.get("thing", Adds, check=True)
        assert adds.add(1, b=2) == 3
        sent = client.stats().sent
        with pytest.raises(TypeError, match=r"Adds\.add\(a: int, b: int\).*argument: 'b'"):
            adds.add(1)
        assert client.stats().sent == sent

    def test_a_value_is_itself(self, server, client):
        server["answer"] = 42
        assert client.get("answer", int, check=True) == 42

    def test_nothing_is_published(self, client):
        with pytest.raises(KeyError):
            client.get("nothing", Thing)

    def test_it_can_be_passed_on(self, client, thing):
        checked = client.get("thing", Thing, check=True)
        assert thing.call(lambda other: other.add(1, 2), checked) == 3
        assert isinstance(thing.echo(checked), ObjectProxy)

    def test_a_checked_one_finds_what_it_has_and_what_not(self, client, thing):
        checked = client.get("thing", Thing, check=True)
        assert hasattr(checked, "add")
        assert not hasattr(checked, "nothing")
        checked.value = 5
        assert get_value(checked.value) == 5
        assert "add" in dir(checked)


class TestModes:
    def test_synchronous(self, typed):
        assert synchronous(typed.add)(1, b=2) == 3
        made = synchronous(typed.echo, return_type="proxy")([1])
        assert isinstance(made, ObjectProxy)

    def test_its_timeout(self, server, typed):
        with pytest.raises(CallTimeout):
            synchronous(typed.wait, timeout=0.01)()
        server["thing"].gate.set()
        assert synchronous(typed.wait, timeout=None)()

    def test_whatever_the_proxy_says(self, typed):
        typed._set_proxy_options(sync="off", return_type="proxy")
        assert synchronous(typed.add, return_type="auto")(1, 2) == 3

    def test_asynchronous(self, typed):
        future = asynchronous(typed.add)(1, b=2)
        assert isinstance(future, Future)
        assert future.result(10) == 3

    def test_awaited(self, typed):
        async def add():
            return await asynchronous(typed.add)(1, 2)

        assert asyncio.run(add()) == 3

    def test_off(self, typed):
        assert off(typed.note)(1) is None
        assert eventually(lambda: typed.notes() == [1])

    def test_of_checked_proxies(self, client, thing):
        checked = client.get("thing", Thing, check=True)
        for mode in (synchronous, asynchronous, off):
            with pytest.raises(TypeError, match="missing a required argument"):
                mode(checked.add)(1)
        assert asynchronous(checked.add)(1, 2).result(10) == 3

    @pytest.mark.parametrize("function", [synchronous, asynchronous, off])
    def test_of_what_is_no_proxy(self, function):
        with pytest.raises(TypeError, match="is no proxy"):
            function(Thing().add)

    def test_options_that_are_none(self, typed):
        with pytest.raises(ValueError, match="return_type is one of"):
            asynchronous(typed.add, return_type="copy")
        with pytest.raises(TypeError, match="timeout is a number"):
            synchronous(typed.add, timeout="long")


class TestValues:
    def test_an_attribute(self, typed):
        assert get_value(typed.value) == 0
        assert get_value(get_value(typed.log)) == []

    def test_of_an_asynchronous_proxy(self, thing):
        thing._set_proxy_options(sync="async")
        assert get_value(thing.value) == 0

    def test_what_has_no_value_form(self, typed):
        with pytest.raises(SerializationError):
            get_value(typed)


class TestAsType:
    def test_it_is_the_proxy_itself(self, thing):
        assert as_type(thing, Thing) is thing

    def test_what_is_no_proxy(self):
        with pytest.raises(TypeError, match="is no proxy"):
            as_type(Thing(), Thing)


def test_the_type_of_a_future_may_be_written():
    assert Future[int].__origin__ is Future
