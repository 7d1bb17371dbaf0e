from __future__ import annotations

import functools
from dataclasses import dataclass

import pytest

from pyacq_rpc import expose
from pyacq_rpc.session import exposing
from pyacq_rpc.session.exposing import (
    is_marked,
    is_method,
    is_public,
    kept_by,
    lacks_its_object,
    marked_for_getting,
    marked_for_setting,
)


class Camera:
    """Has a member of each kind, marked and not."""

    plain = 5

    @expose
    def shoot(self):
        return "shot"

    def hidden(self):
        return "hidden"

    @expose
    @property
    def outer(self):
        return 1

    @property
    @expose
    def inner(self):
        return 1

    @property
    def secret(self):
        return 1

    @expose
    @staticmethod
    def outer_static():
        return 1

    @staticmethod
    @expose
    def inner_static():
        return 1

    @expose
    @classmethod
    def outer_class(cls):
        return 1

    @classmethod
    @expose
    def inner_class(cls):
        return 1

    @expose
    @functools.lru_cache  # noqa: B019  # there is but one
    def cached(self):
        return 1

    @expose
    def __len__(self):
        return 1

    def __getitem__(self, key):
        return key


@pytest.mark.parametrize(
    "name",
    [
        "shoot",
        "outer",
        "inner",
        "outer_static",
        "inner_static",
        "outer_class",
        "inner_class",
        "cached",
        "__len__",
    ],
)
def test_a_member_that_is_marked(name):
    assert marked_for_getting(Camera, name)


@pytest.mark.parametrize(
    "name", ["plain", "hidden", "secret", "__getitem__", "__init__", "nothing"]
)
def test_a_member_that_is_not(name):
    assert not marked_for_getting(Camera, name)


def test_marked_things_stay_what_they_are():
    camera = Camera()
    assert camera.shoot() == "shot"
    assert camera.outer == camera.inner == camera.outer_static() == Camera.inner_class() == 1


class TestSetters:
    class Camera:
        def _set(self, value):
            self.value = value

        both = expose(property(lambda self: 1, _set))
        read_only = expose(property(lambda self: 1))

        @expose
        @property
        def getter_only(self):
            return 1

        @getter_only.setter
        def getter_only(self, value):
            pass

        @property
        def setter_only(self):
            return 1

        @setter_only.setter
        @expose
        def setter_only(self, value):
            pass

        @expose
        def method(self):
            pass

        plain = 5

    @pytest.mark.parametrize(
        ("name", "is_gettable", "is_settable"),
        [
            ("both", True, True),
            ("read_only", True, False),
            ("getter_only", True, False),
            ("setter_only", False, True),
            ("method", True, False),
            ("plain", False, False),
            ("nothing", False, False),
        ],
    )
    def test_each_half_of_a_property_is_marked_by_itself(self, name, is_gettable, is_settable):
        assert marked_for_getting(self.Camera, name) == is_gettable
        assert marked_for_setting(self.Camera, name) == is_settable


class TestInheritance:
    class Better(Camera):
        def shoot(self):
            return "better"

    class Best(Better):
        @expose
        def shoot(self):
            return "best"

    def test_what_is_inherited_stays_exposed(self):
        assert marked_for_getting(self.Better, "outer")

    def test_what_is_overridden_is_exposed_only_if_it_is_marked_itself(self):
        assert not marked_for_getting(self.Better, "shoot")
        assert marked_for_getting(self.Best, "shoot")

    def test_an_override_that_copies_the_attributes_of_what_it_wraps_is_not_marked(self):
        class Logging(Camera):
            @functools.wraps(Camera.shoot)
            def shoot(self):
                return super().shoot()

        assert not marked_for_getting(Logging, "shoot")


class TestClasses:
    @expose
    class Stage:
        position: float
        limit = 5
        _step = 1

        def move(self):
            pass

        @property
        def speed(self):
            return 1

        @speed.setter
        def speed(self, value):
            pass

        def __len__(self):
            return 1

    class Faster(Stage):
        def move(self):
            pass

        def jump(self):
            pass

    @pytest.mark.parametrize("name", ["position", "limit", "move", "speed"])
    def test_all_that_is_public_is_exposed(self, name):
        assert marked_for_getting(self.Stage, name)

    @pytest.mark.parametrize("name", ["_step", "__len__", "__dict__", "__class__"])
    def test_the_rest_is_not(self, name):
        assert not marked_for_getting(self.Stage, name)

    def test_only_setters_let_anything_be_set(self):
        assert marked_for_setting(self.Stage, "speed")
        assert not marked_for_setting(self.Stage, "position")
        assert not marked_for_setting(self.Stage, "limit")
        assert not marked_for_setting(self.Stage, "move")

    def test_subclasses_are_not(self):
        assert not is_marked(self.Faster)
        assert marked_for_getting(self.Faster, "speed")
        assert not marked_for_getting(self.Faster, "move")
        assert not marked_for_getting(self.Faster, "jump")

    def test_a_class_that_was_made_anew_from_a_marked_one_is_not_marked(self):
        @expose
        class Settings:
            gain: int

        copy = type("Settings", (), dict(vars(Settings)))
        assert not marked_for_getting(copy, "gain")

    def test_dataclasses(self):
        @expose
        @dataclass
        class Settings:
            gain: int = 1

        assert marked_for_getting(Settings, "gain")


@pytest.mark.parametrize("thing", [5, "name", len, [], Camera().shoot, property(len), object()])
def test_what_takes_no_mark_is_refused_with_a_sentence(thing):
    with pytest.raises(TypeError, match=r"can be exposed|takes no mark"):
        expose(thing)


def test_a_mark_is_not_what_an_object_says_of_itself():
    class Liar:
        def __getattr__(self, name):
            return expose(lambda: None)

    assert not is_marked(Liar())
    assert kept_by(object()) == {}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("shoot", True),
        ("hidden", True),
        ("inner_static", True),
        ("outer_class", True),
        ("cached", True),
        ("outer", False),
        ("plain", False),
        ("nothing", False),
    ],
)
def test_methods_are_told_from_what_is_only_looked_at(name, expected):
    assert is_method(Camera, name) == expected


def test_nested_classes_and_cached_properties_are_no_methods():
    class Site:
        class Inner:
            pass

        @functools.cached_property
        def cached(self):
            return 1

    assert not is_method(Site, "Inner")
    assert not is_method(Site, "cached")


def test_nor_are_values_that_can_be_called_as_well():
    class Value:
        def __get__(self, obj, cls):
            return print

        def __set__(self, obj, value):
            pass

        def __call__(self):
            pass

    class Site:
        value = Value()

    assert not is_method(Site, "value")


def test_nor_are_signals(monkeypatch):
    class Signal:
        def __get__(self, obj, cls):
            return print

        def __call__(self):
            pass

    class Site:
        changed = Signal()

    assert is_method(Site, "changed")
    monkeypatch.setattr(exposing, "SIGNALS", {Signal})
    assert not is_method(Site, "changed")


def test_functions_of_classes_are_told_from_others():
    def inner():
        pass

    assert lacks_its_object(Camera.shoot)
    assert lacks_its_object(Camera.__dict__["cached"])
    assert not lacks_its_object(inner)
    assert not lacks_its_object(eval("lambda: 1"))


@pytest.mark.parametrize(
    ("name", "expected"), [("gain", True), ("", False), ("_gain", False), ("__len__", False)]
)
def test_public_names(name, expected):
    assert is_public(name) == expected
