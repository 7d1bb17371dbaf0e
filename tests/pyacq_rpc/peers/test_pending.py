from __future__ import annotations

import types

import pytest

from pyacq_rpc import ServerDisconnected
from pyacq_rpc.peers.pending import Pending, PendingRequests


@pytest.fixture
def requests():
    return PendingRequests()


@pytest.fixture
def one(requests):
    """A request that has been sent, whose id is 1."""
    outgoing = types.SimpleNamespace(leases=None, grants=None, undo=lambda: None)
    pending = Pending(None, outgoing, None)
    requests.begin(1, pending)
    return pending


def counts(requests):
    return requests.sent, requests.answered, requests.failed, requests.off


def test_one_that_is_on_its_way(requests, one):
    assert counts(requests) == (1, 0, 0, 0)
    assert [*requests] == [1]


@pytest.mark.parametrize(
    ("error", "expected"), [(None, (1, 1, 0, 0)), (ValueError(), (1, 0, 1, 0))]
)
def test_an_answer_is_counted_once(requests, one, error, expected):
    for _ in range(2):  # as after an interrupt
        requests.complete(1, one, "answer", error)
        assert counts(requests) == expected
    assert not requests
    assert one.done


def test_one_that_was_not_sent_is_not_counted(requests, one):
    for _ in range(2):
        requests.take_back(1)
        assert counts(requests) == (0, 0, 0, 0)
    assert not requests


def test_one_that_the_server_has_not_begun_with_has_failed(requests, one):
    for _ in range(2):
        requests.withdrawn(1)
        assert counts(requests) == (1, 0, 1, 0)
    requests.take_back(1)  # by whoever has sent it, and was told that this failed
    assert counts(requests) == (1, 0, 1, 0)


def test_what_a_server_that_is_gone_has_answered_is_left_to_its_answer(requests, one):
    one.answered = True
    requests.fail_all(ServerDisconnected("has died"))
    assert counts(requests) == (1, 0, 0, 0)
    requests.complete(1, one, "answer", None)
    assert counts(requests) == (1, 1, 0, 0)


def test_those_that_want_no_answer(requests):
    requests.note_off(3)
    assert counts(requests) == (3, 0, 0, 3)
