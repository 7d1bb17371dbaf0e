"""What an iterator asks for, and when; the server is played here."""

from __future__ import annotations

import copy
import pickle

import pytest

from pyacq_rpc import CallTimeout, ProtocolError, ServerDisconnected
from pyacq_rpc.session.proxy import ObjectProxy
from pyacq_rpc.session.remote_iterator import MOST_AHEAD, check_prefetch
from pyacq_rpc.wire.messages import Reference, Target

REFERENCE = Reference("tcp://127.0.0.1:5", "ref", "server.1f", "mylab.Camera", [], "")
FEED = Reference("tcp://127.0.0.1:5", "feed", "server.2f", "Feed", [], "")


class Answer:
    def __init__(self, result=None):
        self.answer = result
        self.cancelled = False

    def done(self):
        return self.answer is not None

    def exception(self, timeout=None):
        if self.answer is None:
            raise CallTimeout(f"{timeout} s")
        return self.answer if isinstance(self.answer, Exception) else None

    def result(self, timeout=None):
        return self.answer

    def cancel(self):
        self.cancelled = True
        return True


class Wire:
    """Link and client in one; answers are given one by one."""

    address = REFERENCE.address
    here = False
    timeout = 7.0

    def __init__(self):
        self.asked = []
        self.answers = []
        self.coming = []

    def client(self):
        return self

    def describe(self):
        return "camera (tcp://127.0.0.1:5)"

    def may_wait(self):
        return True

    def request(self, action, opts, return_type, sync, timeout, holding):
        if action == "fetch":
            assert opts["obj"] == Target("feed", [])
            self.asked.append((opts["at"], opts["room"]))
        else:
            self.asked.append(action)
        if self.answers and isinstance(self.answers[0], type):
            raise self.answers.pop(0)
        self.coming.append(Answer(self.answers.pop(0) if self.answers else None))
        return self.coming[-1]


@pytest.fixture
def wire():
    return Wire()


@pytest.fixture
def begin(wire):
    def begin(prefetch=4, source="", items=(), ended=False):
        feed = None if ended else ObjectProxy(FEED, wire, None)
        wire.answers.insert(0, [list(items), ended, source, feed])
        iterator = ObjectProxy(REFERENCE, wire, None)._iterate(prefetch)
        wire.asked.clear()
        return iterator

    return begin


def take(iterator, count):
    return [next(iterator) for _ in range(count)]


class TestAsking:
    def test_nothing_before_the_first_item(self, begin, wire):
        begin()
        assert wire.asked == []

    def test_for_as_many_as_may_be_ahead(self, begin, wire):
        iterator = begin(prefetch=4)
        wire.answers = [[["a"], False]]
        assert next(iterator) == "a"
        assert wire.asked == [(0, 4), (1, 4)]

    def test_for_others_when_half_is_used_up(self, begin, wire):
        iterator = begin(prefetch=4, items="abcd")
        assert next(iterator) == "a"
        assert wire.asked == []
        assert next(iterator) == "b"
        assert wire.asked == [(4, 2)]
        assert take(iterator, 2) == ["c", "d"]
        assert wire.asked == [(4, 2)]

    def test_for_one_at_a_time_without_prefetch(self, begin, wire):
        iterator = begin(prefetch=0)
        wire.answers = [[["a"], False], [["b"], True]]
        assert next(iterator) == "a"
        assert wire.asked == [(0, 1)]
        assert list(iterator) == ["b"]
        assert wire.asked == [(0, 1), (1, 1)]

    def test_for_one_ahead(self, begin, wire):
        iterator = begin(prefetch=1)
        wire.answers = [[["a"], False]]
        assert next(iterator) == "a"
        assert wire.asked == [(0, 1), (1, 1)]

    def test_not_ahead_where_the_server_is(self, begin, wire):
        wire.here = True
        iterator = begin(prefetch=4, items="ab")
        assert take(iterator, 2) == ["a", "b"]
        assert wire.asked == []

    def test_nothing_after_the_end(self, begin, wire):
        iterator = begin(items="ab", ended=True)
        assert list(iterator) == ["a", "b"]
        assert list(iterator) == []
        assert wire.asked == []

    def test_when_the_prefetch_has_grown(self, begin, wire):
        iterator = begin(prefetch=0, items="abc")
        next(iterator)
        iterator.prefetch = 6
        next(iterator)
        assert wire.asked == [(3, 5)]


class TestWaiting:
    def test_a_timeout_leaves_the_answer_to_be_waited_for(self, begin, wire):
        iterator = begin()
        for _ in range(2):
            with pytest.raises(CallTimeout, match=r"no item from camera \(tcp.*\) after 7\.0 s"):
                next(iterator)
        wire.coming[-1].answer = [["a"], True]
        assert list(iterator) == ["a"]
        assert wire.asked == [(0, 4)]

    def test_an_error_does_not_end_it(self, begin, wire):
        iterator = begin()
        wire.answers = [ValueError("x"), [["a"], True]]
        with pytest.raises(ValueError, match="x"):
            next(iterator)
        assert list(iterator) == ["a"]
        assert wire.asked == [(0, 4), (0, 4)]

    def test_a_stop_iteration_does(self, begin, wire):
        iterator = begin()
        wire.answers = [StopIteration("all")]
        with pytest.raises(StopIteration, match="all"):
            next(iterator)
        assert list(iterator) == []
        assert not iterator.goes_on()

    def test_an_error_of_the_start_ends_it(self, wire):
        wire.answers = [TypeError("not iterable")]
        with pytest.raises(TypeError, match="not iterable"):
            iter(ObjectProxy(REFERENCE, wire, None))

    def test_a_dead_server_is_told_after_the_items(self, begin, wire):
        iterator = begin(prefetch=2, items="ab")
        wire.answers = [ServerDisconnected] * 3
        assert take(iterator, 2) == ["a", "b"]
        for _ in range(2):
            with pytest.raises(ServerDisconnected):
                next(iterator)


class TestAgain:
    def test_an_iterator_is_gone_on_with(self, wire):
        wire.answers = [[[], False, "7f", ObjectProxy(FEED, wire, None)], [["a", "b"], False]]
        proxy = ObjectProxy(REFERENCE, wire, None)
        first = iter(proxy)
        assert next(first) == "a"
        assert iter(proxy) is first
        assert next(proxy) == "b"
        wire.coming[-1].answer = [["c"], True]
        assert "c" in proxy
        assert wire.asked[0] == "iterate"
        assert "iterate" not in wire.asked[1:]

    def test_an_attribute_is_asked_first(self, wire):
        feeds = [ObjectProxy(FEED, wire, None) for _ in range(3)]
        wire.answers = [[[], False, "7f", feeds[0]], [["a", "b"], False]]
        proxy = ObjectProxy(REFERENCE, wire, None).stream
        first = iter(proxy)
        assert next(first) == "a"
        wire.answers = [[[], False, "7f", feeds[1]]]
        assert iter(proxy) is first
        wire.answers = [[[], False, "80", feeds[2]]]
        assert iter(proxy) is not first

    def test_other_things_are_not(self, wire):
        feed = ObjectProxy(FEED, wire, None)
        wire.answers = [[["a"], False, "", feed], None, [["a"], False, "", feed]]
        proxy = ObjectProxy(REFERENCE, wire, None)
        assert next(iter(proxy)) == "a"
        assert next(iter(proxy)) == "a"
        wire.answers = [5]
        assert next(proxy).result() == 5  # by a call


@pytest.mark.parametrize(
    "answer",
    [
        5,
        [],
        [["a"]],
        [["a"], 0],
        ["a", False],
        [("a",), True],
        [[], False],
        [["a"], False, "", None],
        {"items": []},
    ],
)
def test_what_is_no_answer(begin, wire, answer):
    iterator = begin()
    wire.answers = [answer]
    with pytest.raises(ProtocolError, match="has sent no items"):
        next(iterator)


@pytest.mark.parametrize("answer", [[[], False], [[], False, "", None], [[], False, "", 5], "abcd"])
def test_what_is_no_beginning(wire, answer):
    wire.answers = [answer]
    with pytest.raises(ProtocolError, match="has sent no items"):
        iter(ObjectProxy(REFERENCE, wire, None))


def test_what_may_be_prefetched():
    check_prefetch(0)
    check_prefetch(MOST_AHEAD)
    for wrong in (-1, MOST_AHEAD + 1):
        with pytest.raises(ValueError, match="prefetch is from 0"):
            check_prefetch(wrong)
    for wrong in (True, 1.5, None):
        with pytest.raises(TypeError, match="prefetch is a number"):
            check_prefetch(wrong)


def test_closing_withdraws_what_has_not_begun(begin, wire):
    iterator = begin(items="ab")
    next(iterator)
    next(iterator)
    coming = wire.coming[-1]
    iterator.close()
    assert coming.cancelled
    assert list(iterator) == []
    assert repr(iterator) == "<RemoteIterator of the server at tcp://127.0.0.1:5, ended>"


def test_there_is_only_one_of_it(begin):
    for way in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="neither copied nor pickled"):
            way(begin())
