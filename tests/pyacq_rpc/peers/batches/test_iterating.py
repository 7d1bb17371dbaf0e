"""Iteration and the questions of prompts within the block of a batch."""

from __future__ import annotations

import pytest
from things import Thing

from pyacq_rpc import RemoteIterator
from pyacq_rpc.session.questions import ask_description
from pyacq_rpc.wire.messages import Target


class Source(Thing):
    def count(self, stop):
        for number in range(stop):
            self.note(number)
            yield number


@pytest.fixture
def source(server, client):
    server["source"] = Source()
    return client["source"]


class TestProxies:
    def test_what_was_asked_for_before_comes_before(self, client, source):
        with client.batch():
            source.note("before")
            numbers = list(source.count(3, _sync="sync"))
        assert numbers == [0, 1, 2]
        assert source.notes() == ["before", 0, 1, 2]

    def test_what_is_asked_for_meanwhile_is_gathered(self, client, source, monkeypatch):
        sent = []
        conversation = type(client.conversation)
        ask_batch = conversation.ask_batch
        monkeypatch.setattr(
            conversation, "ask_batch", lambda *args: sent.append(args) or ask_batch(*args)
        )
        numbers = source.count(250)
        with client.batch():
            sums = [source.add(number, 1) for number in numbers]
        assert [future.result(10) for future in sums] == list(range(1, 251))
        assert len(sent) == 1

    def test_an_iterator_from_before_goes_on(self, client, source):
        numbers = iter(source.count(300))
        assert next(numbers) == 0
        with client.batch():
            rest = list(numbers)
            noted = source.notes()
        assert rest == list(range(1, 300))
        assert len(noted.result(10)) == 300

    def test_ending_it_early(self, client, source):
        with client.batch(), source.count(10**9, _sync="sync")._iterate(prefetch=5) as numbers:
            assert next(numbers) == 0
        assert list(numbers) == []


class TestPromises:
    def test_a_generator(self, client, source):
        with client.batch():
            numbers = source.count(250)
            assert list(numbers) == list(range(250))

    def test_options(self, client, source):
        with client.batch():
            numbers = source.count(250)._iterate(prefetch=7)
            assert isinstance(numbers, RemoteIterator)
            assert numbers.prefetch == 7
            assert sum(numbers) == sum(range(250))

    def test_backwards(self, client, source):
        with client.batch():
            assert list(reversed(source.echo([1, 2, 3]))) == [3, 2, 1]

    def test_the_next_one(self, client, source):
        with client.batch():
            numbers = source.count(2)
            assert next(numbers) == 0
            assert 1 in numbers

    def test_what_failed_raises_that(self, client, source):
        with client.batch(), pytest.raises(ValueError, match="of old age"):
            list(source.fail("of old age"))

    def test_what_cannot_be_iterated_over(self, client, source):
        with client.batch():
            made, number = source.make(), source.add(1, 2)
            for promise in (made, number):
                with pytest.raises(TypeError, match="not iterable"):
                    list(promise)


class TestQuestions:
    def test_they_send_nothing_else(self, client, source):
        with client.batch():
            source.note("late")
            assert ask_description(source)["type"].endswith("Source")
            assert client.keys() == ["source"]
            noted = source.notes()
            assert not noted.done()
        assert noted.result(10) == ["late"]

    def test_urgent_requests_are_sent_at_once(self, client, source):
        with client.batch():
            assert client.send("names", sync="sync") == ["source"]


@pytest.mark.parametrize(
    ("action", "opts"),
    [
        ("iterate", {"obj": Target("@source", []), "backwards": False, "room": 1}),
        ("fetch", {"obj": Target("@source", []), "at": 0, "room": 1}),
    ],
)
def test_the_server_takes_no_such_request_in_a_batch(client, source, action, opts, monkeypatch):
    from pyacq_rpc.peers.batch import Batch

    monkeypatch.setattr(Batch, "passes_by", lambda *args: False)
    with client.batch():
        promise = client.send(action, opts)
    assert "cannot be part of a batch" in str(promise.exception(10))
