from __future__ import annotations

import contextlib
import math
import time

import pytest

from pyacq_rpc import AccessDenied, ReferenceReleased
from pyacq_rpc.session.dispatch import Dispatcher, UserError
from pyacq_rpc.session.leases import ObjectTable
from pyacq_rpc.session.policy import Trusted
from pyacq_rpc.session.special import SPECIAL
from pyacq_rpc.session.stats import ServerStats
from pyacq_rpc.wire.messages import ACTIONS, Target


class Recorder:
    """Grants everything, and records what it was asked."""

    tracebacks = True

    def __init__(self):
        self.asked = []

    def check(self, access, obj, name=None, owner=None, published=None):
        how_reached = () if published is None else (owner, dict(published))
        self.asked.append((access, obj, name, *how_reached))


class Refuser:
    """Refuses one kind of access, or all."""

    tracebacks = True

    def __init__(self, access=None):
        self.access = access

    def check(self, access, obj, name=None, owner=None, published=None):
        if self.access in (access, None):
            raise AccessDenied(f"{access} of {name!r}")


class Camera:
    def __init__(self):
        self.exposure = 1
        self.lens = Lens()

    def expose(self, seconds, *, gain=1):
        self.exposure = seconds * gain
        return self.exposure

    def quit(self):
        raise SystemExit(3)

    @property
    def broken(self):
        raise OSError("no light")


class Lens:
    focal = 50

    def __eq__(self, other):
        return isinstance(other, Lens)

    __hash__ = None

    def zoom(self):
        return self.focal


class Site:
    """A dispatcher with a camera in its table."""

    def __init__(self, policy):
        self.table = ObjectTable()
        self.closed = 0
        self.dispatcher = Dispatcher(self.table, policy, self)
        self.camera = Camera()
        self.ref = self.table.open(self.camera, "A")

    def close(self):
        self.closed += 1

    def status(self):
        return {"doing": None}

    def stats(self):
        return ServerStats(*range(len(ServerStats._fields)))

    def interrupt(self, only=None):
        return only

    def run(self, action, **options):
        assert options.keys() == ACTIONS[action].keys()
        return self.dispatcher.run(action, options, "A")

    def call(self, *attributes, args=(), kwargs=None):
        target = Target(self.ref, list(attributes))
        return self.run("call_obj", obj=target, args=list(args), kwargs=kwargs or {})


@pytest.fixture
def site():
    return Site(Trusted())


class TestActions:
    def test_a_call(self, site):
        assert site.call("expose", args=[2], kwargs={"gain": 3}) == 6

    def test_a_notification(self, site):
        target = Target(site.ref, ["expose"])
        assert site.run("notify", obj=target, args=[2, "more", "than it takes"]) == 2

    def test_a_deferred_chain(self, site):
        assert site.call("lens", "zoom") == 50
        assert site.run("get_obj", obj=Target(site.ref, ["lens", "focal"])) == 50

    def test_the_object_itself(self, site):
        assert site.run("get_obj", obj=Target(site.ref, [])) is site.camera

    def test_special_methods(self, site):
        site.call("__setattr__", args=["exposure", 9])
        assert site.camera.exposure == 9
        assert site.call("exposure", "__add__", args=[1]) == 10
        assert "expose" in site.call("__dir__")

    @pytest.mark.parametrize(
        ("action", "options"),
        [
            ("get_obj", lambda ref: {"obj": Target(ref, [])}),
            ("call_obj", lambda ref: {"obj": Target(ref, ["expose"]), "args": [5], "kwargs": {}}),
            ("call_obj", lambda ref: {"obj": Target(ref, ["__dir__"]), "args": [], "kwargs": {}}),
            ("notify", lambda ref: {"obj": Target(ref, ["expose"]), "args": [5]}),
            ("delete", lambda ref: {"obj_id": "", "ref_id": ref}),
        ],
    )
    def test_what_another_peer_holds_is_out_of_reach(self, site, action, options):
        with pytest.raises(ReferenceReleased):
            site.dispatcher.run(action, options(site.ref), "B")
        assert site.camera.exposure == 1
        assert site.dispatcher.resolve(Target(site.ref, []), "A") is site.camera

    def test_published_names(self, site):
        site.run("set_item", name="camera", value=site.camera)
        assert site.run("get_item", name="camera") is site.camera
        assert site.run("get_obj", obj=Target("@camera", ["exposure"])) == 1

    def test_deleting_revokes_the_reference(self, site):
        site.run("delete", obj_id="", ref_id=site.ref)
        assert len(site.table) == 0

    def test_an_import(self, site):
        assert site.run("import", module="math") is math

    def test_a_transfer_gives_back_what_came(self, site):
        value = object()
        assert site.run("transfer", obj=value) is value

    def test_the_rest(self, site):
        assert site.run("ping") == "pong"
        assert abs(site.run("time") - time.time()) < 60
        assert site.run("close") is True
        assert site.closed == 1
        assert site.run("status") == {"doing": None}
        assert site.run("stats") == site.stats()._asdict()
        assert site.run("interrupt", request=None) is None
        assert site.run("interrupt", request=7) == ("A", 7)
        site.dispatcher.names["camera"] = site.camera
        assert site.run("names") == ["camera"]

    @pytest.mark.parametrize(
        ("action", "options", "words"),
        [
            (
                "call_obj",
                lambda site: {"obj": Target(site.ref, ["lens", "zoom"])},
                "Camera.lens.zoom",
            ),
            ("call_obj", lambda site: {"obj": Target("@cam", ["expose"])}, "cam.expose"),
            (
                "get_obj",
                lambda site: {"obj": Target(site.table.open(math, "A"), ["pi"])},
                "math.pi",
            ),
            ("call_obj", lambda site: {"obj": Target(site.table.open(Camera, "A"), [])}, "Camera"),
            ("import", lambda site: {"module": "numpy"}, "import numpy"),
            ("get_item", lambda site: {"name": "camera"}, "get_item camera"),
            ("ping", lambda site: {}, "ping"),
        ],
    )
    def test_it_can_say_what_it_is_about(self, site, action, options, words):
        assert site.dispatcher.describe(action, options(site)) == words

    def test_what_is_published_has_that_name(self, site):
        site.dispatcher.names["main camera"] = site.camera
        target = Target(site.ref, ["expose"])
        assert site.dispatcher.describe("call_obj", {"obj": target}) == "main camera.expose"

    def test_every_action_of_the_protocol_is_there(self, site):
        for action in ACTIONS:
            assert callable(getattr(site.dispatcher, "_" + action))


class TestErrors:
    @pytest.mark.parametrize(
        ("run", "error"),
        [
            (lambda site: site.call("expose"), TypeError),
            (lambda site: site.call("nothing"), AttributeError),
            (lambda site: site.call("lens", "nothing", "at_all"), AttributeError),
            (lambda site: site.call("broken"), OSError),
            (lambda site: site.call("\ud800"), AttributeError),
            (lambda site: site.call("quit"), SystemExit),
            (lambda site: site.call("__len__"), TypeError),
            (lambda site: site.call("__setattr__", args=[5, 5]), TypeError),
            (lambda site: site.call("__setattr__"), TypeError),
            (lambda site: site.call("__add__", args=[1], kwargs={"x": 1}), TypeError),
            (lambda site: site.call("__exit__", args=[[1, 2]]), TypeError),
            (lambda site: site.run("get_item", name="x"), KeyError),
            (lambda site: site.run("get_obj", obj=Target("@x", [])), KeyError),
            (lambda site: site.run("import", module="no.such.module"), ImportError),
            (lambda site: site.run("import", module=""), ValueError),
            (lambda site: site.run("import", module=".relative"), TypeError),
        ],
    )
    def test_what_user_code_raises_is_wrapped(self, site, run, error):
        """Whatever it is, so that it can be told from what the machinery raises."""
        with pytest.raises(UserError) as caught:
            run(site)
        assert isinstance(caught.value.error, error)

    def test_a_missing_name_tells_which_there_are(self, site):
        site.dispatcher.names["camera"] = 1
        with pytest.raises(UserError, match="published: 'camera'"):
            site.run("get_item", name="x")

    @pytest.mark.parametrize(
        "run",
        [
            lambda site, ref: site.run("get_obj", obj=Target(ref, [])),
            lambda site, ref: site.run("call_obj", obj=Target(ref, []), args=[], kwargs={}),
            lambda site, ref: site.run("delete", obj_id="", ref_id=ref),
        ],
    )
    def test_a_reference_that_is_not_held(self, site, run):
        site.table.release("A", [site.ref])
        with pytest.raises(ReferenceReleased):
            run(site, site.ref)


@pytest.fixture
def asked():
    site = Site(Recorder())
    site.asked = site.dispatcher._policy.asked
    return site


class TestPolicy:
    """Every access is asked for, with what it is about, before it is done."""

    def test_a_call_through_a_chain(self, asked):
        asked.call("lens", "zoom")
        camera, lens = asked.camera, asked.camera.lens
        assert asked.asked == [
            ("getattr", camera, "lens"),
            ("getattr", lens, "zoom"),
            ("call", lens.zoom, "zoom", lens, {}),
        ]

    def test_a_call_of_what_is_published_or_held(self, asked):
        """The policy is told that no attribute led there, and what is published."""
        asked.dispatcher.names["camera"] = asked.camera
        published = {"camera": asked.camera}
        for ref in ("@camera", asked.ref):
            asked.asked.clear()
            with pytest.raises(UserError):
                asked.run("call_obj", obj=Target(ref, []), args=[], kwargs={})
            assert asked.asked[-1] == ("call", asked.camera, None, None, published)

    def test_what_comes_home(self, asked):
        asked.dispatcher.take_back(Target(asked.ref, ["lens"]))
        asked.dispatcher.take_back(Target(asked.ref, []))
        camera, lens = asked.camera, asked.camera.lens
        assert asked.asked == [
            ("getattr", camera, "lens"),
            ("argument", lens, "lens", camera, {}),
            ("argument", camera, None, None, {}),
        ]

    def test_a_value_through_a_chain(self, asked):
        asked.run("get_obj", obj=Target(asked.ref, ["exposure"]))
        assert asked.asked == [("getattr", asked.camera, "exposure"), ("value", 1, None)]

    def test_assignments_are_asked_for_by_attribute(self, asked):
        asked.call("__setattr__", args=["exposure", 2])
        asked.call("__delattr__", args=["exposure"])
        assert asked.asked == [
            ("setattr", asked.camera, "exposure"),
            ("delattr", asked.camera, "exposure"),
        ]

    def test_operators(self, asked):
        asked.call("exposure", "__add__", args=[1])
        assert asked.asked == [("getattr", asked.camera, "exposure"), ("special", 1, "__add__")]

    def test_names_of_the_server(self, asked):
        asked.run("set_item", name="n", value=5)
        asked.run("get_item", name="n")
        asked.run("get_obj", obj=Target("@n", []))
        assert asked.asked == [
            ("set_item", None, "n"),
            ("get_item", None, "n"),
            ("get_item", None, "n"),
            ("value", 5, None),
        ]

    def test_the_rest(self, asked):
        asked.run("import", module="math")
        asked.run("transfer", obj=1)
        asked.run("ping")
        asked.run("time")
        asked.run("close")
        asked.run("delete", obj_id="", ref_id=asked.ref)
        assert asked.asked == [
            ("import", None, "math"),
            ("transfer", None, None),
            ("ping", None, None),
            ("time", None, None),
            ("close", None, None),
            ("delete", asked.camera, None),
        ]

    @pytest.mark.parametrize(
        ("access", "run"),
        [
            ("getattr", lambda site: site.call("expose", args=[5])),
            ("call", lambda site: site.call("expose", args=[5])),
            ("special", lambda site: site.call("lens", "__eq__", args=[5])),
            ("setattr", lambda site: site.call("__setattr__", args=["exposure", 5])),
            ("delattr", lambda site: site.call("__delattr__", args=["exposure"])),
            ("value", lambda site: site.run("get_obj", obj=Target(site.ref, []))),
            ("delete", lambda site: site.run("delete", obj_id="", ref_id=site.ref)),
            ("get_item", lambda site: site.run("get_item", name="n")),
            ("get_item", lambda site: site.run("get_obj", obj=Target("@n", []))),
            ("set_item", lambda site: site.run("set_item", name="n", value=5)),
            ("import", lambda site: site.run("import", module="antigravity")),
            ("transfer", lambda site: site.run("transfer", obj=5)),
            ("ping", lambda site: site.run("ping")),
            ("time", lambda site: site.run("time")),
            ("argument", lambda site: site.dispatcher.take_back(Target(site.ref, []))),
            ("close", lambda site: site.run("close")),
        ],
    )
    def test_what_is_refused_is_not_done(self, access, run):
        site = Site(Refuser(access))
        with pytest.raises(AccessDenied, match=access):
            run(site)
        assert site.camera.exposure == 1
        assert site.table.get(site.ref, "A") is site.camera
        assert site.dispatcher.names == {}
        assert site.closed == 0


class TestNothingIsForgotten:
    """A new action or special method that nobody is asked about fails here."""

    def options(self, action, ref):
        """What an action could be asked with, whatever it is."""
        values = {Target: Target(ref, []), list: [], dict: {}, str: ref, object: None}
        values.update({int: 1, bool: False})
        return {name: values[types[0]] for name, types in ACTIONS[action].items()}

    @pytest.mark.parametrize("action", ACTIONS)
    def test_every_action_is_refused_by_who_refuses_all(self, action):
        site = Site(Refuser())
        with pytest.raises(AccessDenied):
            site.run(action, **self.options(action, site.ref))
        assert site.table.get(site.ref, "A") is site.camera
        assert site.dispatcher.names == {}
        assert site.closed == 0

    @pytest.mark.parametrize("action", ACTIONS)
    def test_every_action_is_asked_about(self, action):
        site = Site(Recorder())
        with contextlib.suppress(UserError):
            site.run(action, **self.options(action, site.ref))
        assert site.dispatcher._policy.asked

    @pytest.mark.parametrize("name", SPECIAL)
    def test_every_special_method_is_asked_about(self, name, monkeypatch):
        done = []
        monkeypatch.setitem(SPECIAL, name, lambda *args: done.append(name))
        site = Site(Refuser())
        with pytest.raises(AccessDenied):
            site.call(name, args=["exposure", 1])
        assert not done
        site = Site(Recorder())
        site.call(name, args=["exposure", 1])
        asked = {
            "__setattr__": ("setattr", site.camera, "exposure"),
            "__delattr__": ("delattr", site.camera, "exposure"),
        }
        assert site.dispatcher._policy.asked == [
            asked.get(name, ("special", site.camera, name)),
        ]
        assert done == [name]

    def test_every_attribute_of_a_chain_is_asked_about(self, asked):
        asked.call("lens", "zoom", "__self__", "zoom")
        assert [name for access, _, name, *_ in asked.asked if access == "getattr"] == [
            "lens",
            "zoom",
            "__self__",
            "zoom",
        ]
