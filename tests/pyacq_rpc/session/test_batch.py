from __future__ import annotations

import gc
import weakref

import pytest

from pyacq_rpc import ProtocolError, ReferenceReleased
from pyacq_rpc.session.batch import BatchDispatcher, EarlierFailure
from pyacq_rpc.session.dispatch import Dispatcher, UserError
from pyacq_rpc.session.leases import ObjectTable
from pyacq_rpc.session.policy import Trusted
from pyacq_rpc.session.remote_errors import describe
from pyacq_rpc.wire.messages import URGENT, Target


class Box:
    def __init__(self, value):
        self.value = value

    def make(self, value):
        return Box(value)

    def fail(self):
        raise ValueError("no")


class Site:
    """A server's dispatcher, and that of a batch whose requests are numbered from 1."""

    def __init__(self, policy=None):
        self.table = ObjectTable()
        self.whole = Dispatcher(self.table, policy or Trusted(), self)
        self.whole.names["box"] = Box(1)
        self.batch = self.whole.run("batch", {"requests": [], "unread": []}, "A")

    def run(self, action, **options):
        self.batch.request_id += 1
        return self.batch.run(action, options, "A")

    def call(self, ref, *attributes, args=()):
        obj = Target(ref, list(attributes))
        return self.run("call_obj", obj=obj, args=list(args), kwargs={})


@pytest.fixture
def site():
    return Site()


def test_a_result_is_the_target_of_what_follows(site):
    made = site.call("@box", "make", args=[7])
    assert site.run("get_obj", obj=Target("#1", [])) is made
    assert site.run("get_obj", obj=Target("#1", ["value"])) == 7
    assert site.call("#1", "make", args=[8]).value == 8


def test_a_result_is_an_argument_of_what_follows(site):
    made = site.call("@box", "make", args=[7])
    assert site.batch.take_back(Target("#1", [])) is made
    assert site.batch.take_back(Target("#1", ["value"])) == 7


@pytest.mark.parametrize("ref", ["#1", "#2", "#", "#x", "#-1", "#1.5", "#" + "9" * 5000])
def test_what_was_not_asked_for_before_has_no_result(site, ref):
    with pytest.raises(ReferenceReleased, match="no earlier request of this batch"):
        site.run("get_obj", obj=Target(ref, []))


def test_results_are_unknown_outside_of_the_batch(site):
    site.call("@box", "make", args=[7])
    for dispatcher in (site.whole, Site().batch):
        with pytest.raises(ReferenceReleased):
            dispatcher.run("get_obj", {"obj": Target("#1", [])}, "A")


def test_what_depends_on_a_failure_is_not_done(site):
    with pytest.raises(UserError) as caught:
        site.call("@box", "fail")
    site.batch.has_failed(describe(1, caught.value.error))
    with pytest.raises(EarlierFailure) as likewise:
        site.call("#1", "make", args=[1])
    assert likewise.value.failure.message == "no"


def test_references_that_peers_hold_are_good_in_a_batch(site):
    ref = site.table.open(Box(5), "A")
    assert site.run("get_obj", obj=Target(ref, ["value"])) == 5
    site.run("delete", obj_id="", ref_id=ref)
    with pytest.raises(ReferenceReleased):
        site.table.get(ref, "A")


def test_results_cannot_be_deleted(site):
    site.call("@box", "make", args=[7])
    with pytest.raises(ReferenceReleased):
        site.run("delete", obj_id="", ref_id="#1")
    assert site.run("get_obj", obj=Target("#1", ["value"])) == 7


def test_names_are_those_of_the_server(site):
    site.run("set_item", name="other", value=3)
    assert site.whole.names["other"] == 3


@pytest.mark.parametrize("action", ["batch", *sorted(URGENT)])
def test_some_actions_are_for_single_requests(site, action):
    options = {"requests": [], "unread": []} if action == "batch" else {}
    with pytest.raises(ProtocolError, match=f"'{action}' cannot be part of a batch"):
        site.run(action, **options)


def test_it_can_say_what_a_request_is_about(site):
    site.call("@box", "make", args=[7])
    assert site.batch.describe("call_obj", {"obj": Target("#1", ["make"])}) == "Box.make"


def test_results_live_as_long_as_the_batch_is_carried_out(site):
    seen = weakref.ref(site.call("@box", "make", args=[7]))
    gc.collect()
    assert seen() is not None
    site.batch = None
    gc.collect()
    assert seen() is None


class Asked:
    """Grants everything, and remembers what about."""

    tracebacks = True

    def __init__(self):
        self.asked = []

    def check(self, access, obj, name=None, owner=None, published=None):
        self.asked.append((access, name))


def test_the_policy_is_asked_as_for_single_requests():
    site = Site(Asked())
    asked = site.whole._policy.asked
    assert asked == [("batch", None)]
    site.call("@box", "make", args=[7])
    asked.clear()
    site.call("#1", "make", args=[7])
    assert asked == [("getattr", "make"), ("call", "make")]
    asked.clear()
    site.batch.take_back(Target("#1", ["value"]))
    assert asked == [("getattr", "value"), ("argument", "value")]


def test_who_may_look_names_up_otherwise_does_so_in_a_batch():
    site = Site()
    site.whole.look_up = lambda obj, name: f"looked up {name}"
    batch = BatchDispatcher(site.whole)
    assert batch.run("get_obj", {"obj": Target("@box", ["x"])}, "A") == "looked up x"
