"""Giving the items of an iterator away, some at a time."""

from __future__ import annotations

import gc
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyacq_rpc import ProtocolError, SerializationError
from pyacq_rpc.session.feed import Feed, Full, IsBusy
from pyacq_rpc.session.user_error import UserError


class Answer:
    """Takes so many items, and none of what cannot be sent."""

    def __init__(self, size=1000):
        self.items = []
        self.size = size
        self.is_answered = False

    def close(self):
        return not self.is_answered

    def add(self, item):
        if self.is_answered:
            raise Full
        if item == "unsendable":
            raise SerializationError("no value form")
        if len(self.items) == self.size:
            raise Full
        self.items.append(item)
        return len(self.items) < self.size


def take(feed, at, room, size=1000):
    """The items of the next answer, and whether there are no others; or what was raised."""
    answer = Answer(size)
    try:
        ended = feed.take(at, room, answer)
    except UserError as wrapped:
        return wrapped.error
    return answer.items, ended


class Stuttering:
    """An iterator that raises the exceptions among its items, and goes on."""

    def __init__(self, outcomes):
        self.outcomes = iter(outcomes)

    def __iter__(self):
        return self

    def __next__(self):
        outcome = next(self.outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


class TestTaking:
    def test_items_come_in_order_as_far_as_there_is_room(self):
        feed = Feed(iter("abcde"))
        assert take(feed, 0, 2) == (["a", "b"], False)
        assert take(feed, 2, 2) == (["c", "d"], False)
        assert take(feed, 4, 2) == (["e"], True)
        assert take(feed, 5, 2) == ([], True)

    def test_no_more_are_produced_than_there_is_room_for(self):
        produced = []
        feed = Feed(produced.append(n) or n for n in range(10))
        take(feed, 0, 3)
        assert produced == [0, 1, 2]
        assert take(feed, 3, 0) == ([], False)
        assert produced == [0, 1, 2]

    def test_an_answer_may_be_full_before(self):
        feed = Feed(iter("abc"))
        assert take(feed, 0, 5, size=2) == (["a", "b"], False)
        assert take(feed, 2, 5) == (["c"], True)

    def test_an_error_comes_at_its_place(self):
        feed = Feed(Stuttering([1, 2, ValueError("x"), 3]))
        assert take(feed, 0, 5) == ([1, 2], False)
        error = take(feed, 2, 5)
        assert isinstance(error, ValueError)
        assert str(error) == "x"
        assert take(feed, 2, 5) == ([3], True)

    def test_a_generator_has_ended_after_its_error(self):
        def fail():
            yield 1
            raise KeyError("x")

        feed = Feed(fail())
        assert take(feed, 0, 5) == ([1], False)
        assert isinstance(take(feed, 1, 5), KeyError)
        assert take(feed, 1, 5) == ([], True)

    def test_an_error_keeps_its_traceback_and_not_the_feed(self):
        def fail():
            yield 1
            raise KeyError("x")

        feed = Feed(fail())
        take(feed, 0, 5)
        seen = weakref.ref(feed)
        gc.disable()
        del feed
        assert seen() is None
        gc.enable()
        feed = Feed(fail())
        take(feed, 0, 5)
        with pytest.raises(UserError) as caught:
            feed.take(1, 5, Answer())
        assert ", in fail\n" in caught.value.failure.traceback

    def test_what_a_generator_returns(self):
        def numbers():
            yield 1
            return "all"

        feed = Feed(numbers())
        assert take(feed, 0, 5) == ([1], False)
        end = take(feed, 1, 5)
        assert isinstance(end, StopIteration)
        assert end.value == "all"
        assert take(feed, 1, 5) == ([], True)

    def test_what_cannot_be_sent_is_told_at_its_place_and_left_out(self):
        feed = Feed(iter([1, "unsendable", 2]))
        assert take(feed, 0, 5) == ([1], False)
        with pytest.raises(SerializationError):
            take(feed, 1, 5)
        assert take(feed, 1, 5) == ([2], True)

    def test_an_interrupt_ends_the_answer_and_loses_nothing(self):
        def numbers():
            yield 1
            yield 2
            raise KeyboardInterrupt

        feed = Feed(numbers())
        assert isinstance(take(feed, 0, 5), KeyboardInterrupt)
        assert take(feed, 0, 5) == ([1, 2], True)


class TestGivingOnceMore:
    def test_the_last_ones(self):
        feed = Feed(iter("abcd"))
        assert take(feed, 0, 2) == (["a", "b"], False)
        assert take(feed, 0, 2) == (["a", "b"], False)
        assert take(feed, 0, 3) == (["a", "b", "c"], False)
        assert take(feed, 3, 3) == (["d"], True)
        assert take(feed, 3, 3) == (["d"], True)

    @pytest.mark.parametrize("at", [0, 1, 3, 5, -1])
    def test_others_are_not_at_hand(self, at):
        feed = Feed(iter("abcdef"))
        take(feed, 0, 2)
        take(feed, 2, 2)
        with pytest.raises(ProtocolError, match="4 were given, and the last 2 could be"):
            take(feed, at, 2)
        assert take(feed, 4, 2) == (["e", "f"], False)


class TestAnAnswerThatWentEarly:
    """While the iterator was about to give an item, the others were sent."""

    def test_the_item_comes_with_the_next_one(self):
        answer = Answer()

        def numbers():
            yield 1
            answer.is_answered = True
            yield 2
            yield 3

        feed = Feed(numbers())
        assert feed.take(0, 5, answer) is False
        assert answer.items == [1]
        assert take(feed, 1, 5) == ([2, 3], True)

    def failing(self, error):
        answer = Answer()

        def numbers():
            yield 1
            answer.is_answered = True
            raise error

        return Feed(numbers()), answer

    def test_so_does_an_error(self):
        feed, answer = self.failing(ValueError)
        assert feed.take(0, 5, answer) is False
        assert isinstance(take(feed, 1, 5), ValueError)
        assert take(feed, 1, 5) == ([], True)

    def test_so_does_an_interrupt_which_may_have_to_end_more_than_that(self):
        feed, answer = self.failing(KeyboardInterrupt)
        with pytest.raises(UserError):
            feed.take(0, 5, answer)
        assert take(feed, 1, 5).type_name == "KeyboardInterrupt"
        assert take(feed, 1, 5) == ([], True)

    def test_so_does_the_end(self):
        answer = Answer()

        def numbers():
            yield 1
            answer.is_answered = True

        feed = Feed(numbers())
        feed.take(0, 5, answer)
        assert take(feed, 1, 5) == ([], True)


class TestWhileBusy:
    def test_others_have_to_wait(self):
        def numbers():
            with pytest.raises(IsBusy) as caught:
                feed.take(0, 1, Answer())
            assert caught.value.feed is feed
            yield feed.is_busy

        feed = Feed(numbers())
        assert take(feed, 0, 1) == ([True], False)
        assert not feed.is_busy

    def test_closing_waits_too(self):
        ends = []

        def numbers():
            try:
                feed.close()
                yield 1
            finally:
                ends.append("end")

        feed = Feed(numbers())
        assert take(feed, 0, 5)[1]
        assert ends == ["end"]


class TestClosing:
    def test_a_generator_ends_at_once(self):
        ends = []

        def numbers():
            try:
                yield 1
                yield 2
            finally:
                ends.append("end")

        feed = Feed(numbers())
        take(feed, 0, 1)
        feed.close()
        assert ends == ["end"]
        assert take(feed, 1, 1) == ([], True)

    def test_a_generator_that_is_not_ours_goes_on(self):
        numbers = (n for n in range(3))
        feed = Feed(numbers, may_close=False)
        take(feed, 0, 1)
        feed.close()
        assert take(feed, 1, 1) == ([], True)
        assert list(numbers) == [1, 2]

    def test_a_file_stays_open(self, tmp_path):
        (tmp_path / "file").write_text("a\nb\n")
        with (tmp_path / "file").open() as file:
            feed = Feed(file)
            take(feed, 0, 1)
            feed.close()
            assert file.readline() == "b\n"

    def test_dropping_it_drops_the_generator(self):
        ends = []

        def numbers():
            try:
                yield 1
            finally:
                ends.append("end")

        feed = Feed(numbers())
        take(feed, 0, 1)
        del feed
        assert ends == ["end"]


@pytest.mark.parametrize("things", [[1], (1,), {1}, {1: 2}, {1: 2}.items(), "a", b"a", range(3)])
def test_what_is_at_hand(things):
    assert Feed(iter(things)).is_at_hand()


@pytest.mark.parametrize(
    "iterator", [(n for n in [1]), map(int, "1"), zip("a"), enumerate("a"), iter(int, 1)]
)
def test_what_may_take_its_time(iterator):
    assert not Feed(iterator).is_at_hand()


outcomes = st.lists(
    st.integers() | st.just("unsendable") | st.sampled_from([ValueError, KeyError]), max_size=20
)


@given(outcomes, st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5), st.booleans())))
def test_anything_arrives_in_order(outcomes, steps):
    """Whatever the rooms and the sizes of answers, some of which are lost on the way."""
    feed = Feed(Stuttering([o() if isinstance(o, type) else o for o in outcomes]))
    arrived = []
    position = 0
    ended = False
    for room, size, is_lost in [*steps, *[(3, 3, False)] * 50]:
        if ended:
            break
        answer = Answer(size)
        try:
            ended = feed.take(position, room, answer)
        except UserError as wrapped:
            arrived.append(ValueError if isinstance(wrapped.error, ValueError) else KeyError)
            continue
        except SerializationError:
            arrived.append("unsendable")
            continue
        assert len(answer.items) <= min(room, size)
        assert answer.items or ended
        if is_lost:
            ended = False
            continue
        arrived += answer.items
        position += len(answer.items)
    assert ended
    assert arrived == outcomes
