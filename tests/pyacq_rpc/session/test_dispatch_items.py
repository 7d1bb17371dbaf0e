"""The actions that give items, and who is asked about them."""

from __future__ import annotations

import pytest

from pyacq_rpc import AccessDenied, ReferenceReleased, Service
from pyacq_rpc.session.dispatch import Dispatcher
from pyacq_rpc.session.feed import Feed
from pyacq_rpc.session.leases import ObjectTable
from pyacq_rpc.session.policy import Trusted
from pyacq_rpc.session.user_error import UserError
from pyacq_rpc.wire.messages import Target


class Policy(Trusted):
    """Refuses what it is told to, and records what it was asked."""

    def __init__(self, *refused):
        self.refused = refused
        self.asked = []

    def check(self, access, obj, name=None, owner=None, published=None):
        self.asked.append((access, obj, name))
        if name in self.refused:
            raise AccessDenied(name)


class Answer(list):
    def add(self, item):
        self.append(item)
        return True


class Site:
    def __init__(self, policy):
        self.table = ObjectTable()
        self.policy = policy
        self.dispatcher = Dispatcher(self.table, policy, self)
        self.items = Answer()

    def target(self, obj):
        return Target(self.table.open(obj, "A"), [])

    def iterate(self, obj, room=10, backwards=False):
        options = {"obj": self.target(obj), "backwards": backwards, "room": room}
        return self.dispatcher.run("iterate", options, "A", self.items)

    def fetch(self, feed, at=0, room=10, peer="A"):
        options = {"obj": self.target(feed), "at": at, "room": room}
        return self.dispatcher.run("fetch", options, peer, self.items)


@pytest.fixture
def site():
    return Site(Policy())


class TestIterating:
    def test_a_short_list_is_had_at_once(self, site):
        assert site.iterate([1, 2, 3]) == [True, "", None]
        assert site.items == [1, 2, 3]

    def test_a_long_one_in_parts(self, site):
        ended, source, feed = site.iterate(list(range(5)), room=3)
        assert (ended, source, site.items) == (False, "", [0, 1, 2])
        assert site.fetch(feed, at=3) == [True]
        assert site.items == [0, 1, 2, 3, 4]

    def test_backwards(self, site):
        site.iterate([1, 2, 3], backwards=True)
        assert site.items == [3, 2, 1]

    def test_a_generator_is_not_begun(self, site):
        begun = []
        numbers = (begun.append(n) or n for n in [1])
        ended, source, feed = site.iterate(numbers)
        assert not ended
        assert source
        assert not site.items
        assert not begun
        assert site.fetch(feed) == [True]
        assert begun == [1]

    def test_iterators_are_told_apart(self, site):
        one, other = iter([1]), iter([1])
        sources = [site.iterate(obj)[1] for obj in (one, other, one)]
        assert sources[0] == sources[2] != sources[1]
        assert not site.items

    def test_without_a_taker_there_is_one_item_at_a_time(self, site):
        options = {"obj": site.target([1, 2]), "backwards": False, "room": 10}
        items, ended, _, feed = site.dispatcher.run("iterate", options, "A")
        assert (items, ended) == ([], False)
        options = {"obj": site.target(feed), "at": 0, "room": 10}
        assert site.dispatcher.run("fetch", options, "A") == [[1], False]

    def test_what_is_no_iterable(self, site):
        with pytest.raises(UserError) as caught:
            site.iterate(5)
        assert str(caught.value.error) == "'int' object is not iterable"

    def test_what_is_one_in_coroutines_only(self, site):
        async def numbers():
            yield 1

        with pytest.raises(UserError) as caught:
            site.iterate(numbers())
        assert isinstance(caught.value.error, TypeError)
        assert "'async for' only" in str(caught.value.error)

    def test_fetching_from_something_else(self, site):
        with pytest.raises(UserError) as caught:
            site.fetch([1])
        assert isinstance(caught.value.error, TypeError)

    def test_fetching_from_anothers(self, site):
        feed = site.iterate(iter([1]))[2]
        with pytest.raises(ReferenceReleased):
            site.fetch(feed, peer="B")

    def test_it_is_said_what_is_iterated_over(self, site):
        def numbers():
            yield 1

        feed = Feed(numbers())
        described = site.dispatcher.describe("fetch", {"obj": site.target(feed)})
        assert described.startswith("items of ")
        assert described.endswith("numbers")


class TestThePolicy:
    def test_is_asked_about_iterating_and_about_each_fetch(self, site):
        things = [1, 2]
        iterator = iter(things)
        feed = site.iterate(iterator)[2]
        assert [(access, name) for access, _, name in site.policy.asked] == [
            ("special", "__iter__"),
            ("special", "__next__"),
            ("getattr", "close"),
        ]
        site.policy.asked.clear()
        site.fetch(feed)
        assert site.policy.asked == [("special", iterator, "__next__")]

    def test_is_asked_about_reversing(self, site):
        site.iterate([1], backwards=True)
        assert site.policy.asked[0] == ("special", [1], "__reversed__")

    @pytest.mark.parametrize("name", ["__iter__", "__next__"])
    def test_may_refuse(self, name):
        site = Site(Policy(name))
        with pytest.raises(AccessDenied):
            site.iterate([1])
        assert not site.items
        with pytest.raises(AccessDenied):
            Site(Policy("__next__")).fetch(Feed(iter([1])))

    def test_decides_who_closes_a_generator(self):
        for policy, is_closed in ((Policy(), True), (Policy("close"), False), (Service(), False)):
            numbers = (n for n in [1, 2])
            Site(policy).iterate(numbers)[2].close()
            assert (next(numbers, None) is None) == is_closed

    def test_lets_everybody_close_what_was_made_by_iterating(self):
        closed = []

        class Numbers:
            def __iter__(self):
                try:
                    yield 1
                    yield 2
                finally:
                    closed.append(True)

        site = Site(Service({Numbers: ["__iter__"]}))
        feed = site.iterate(Numbers())[2]
        site.fetch(feed, room=1)
        feed_target = Target(site.table.open(feed, "A"), ["close"])
        site.dispatcher.run("call_obj", {"obj": feed_target, "args": [], "kwargs": {}}, "A")
        assert closed == [True]

    def test_of_a_service_gives_nothing_else_of_a_feed(self):
        site = Site(Service())
        feed = site.iterate(n for n in [1])[2]
        for name in ("iterator", "take", "_ahead", "__dict__", "is_busy"):
            options = {"obj": Target(site.table.open(feed, "A"), [name])}
            with pytest.raises(AccessDenied):
                site.dispatcher.run("get_obj", options, "A")
