from __future__ import annotations

import signal
import threading

import pytest
from conftest import eventually

from pyacq_rpc import RPCClient
from pyacq_rpc.peers.unanswered import Unanswered, note_unanswered, unanswered_by


def interrupted(wait):
    """Press Ctrl-C while something waits for a busy server; return what was raised."""
    main = threading.main_thread().ident
    timer = threading.Timer(0.5, lambda: signal.pthread_kill(main, signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt) as caught:
        wait()
    timer.join(10)
    return caught.value


def test_a_call_goes_on_until_it_is_answered(server, thing):
    call = unanswered_by(interrupted(lambda: thing.wait(_timeout=20)))
    assert call.goes_on()
    assert "under-test" in call.server
    assert call.address == server.address
    server["thing"].gate.set()
    assert eventually(lambda: not call.goes_on())


def test_a_future_too(server, thing):
    future = thing.wait(_sync="async")
    call = unanswered_by(interrupted(lambda: future.result(20)))
    assert call.goes_on()
    server["thing"].gate.set()
    assert future.result(10) is True
    assert not call.goes_on()


def test_a_call_that_was_not_begun_is_withdrawn(server, thing, client):
    busy = thing.wait(_sync="async")
    call = unanswered_by(interrupted(lambda: thing.note("never", _timeout=20)))
    call.withdraw()
    assert client.status(10).state == "busy"  # it comes behind, and the same way
    server["thing"].gate.set()
    assert busy.result(10) is True
    assert eventually(lambda: not call.goes_on())
    assert thing.notes() == []


def test_a_server_that_closes_answers_no_more(server, thing):
    call = unanswered_by(interrupted(lambda: thing.wait(_timeout=20)))
    RPCClient.get_client(server.address).close()
    assert not call.goes_on()
    server["thing"].gate.set()


def test_its_end_can_be_waited_for(server, thing):
    call = unanswered_by(interrupted(lambda: thing.wait(_timeout=20)))
    assert not call.ends(0.1)
    server["thing"].gate.set()
    assert call.ends(10)


def never(*_):
    raise AssertionError("nobody asks for this")


def test_the_innermost_call_counts():
    inner, outer = (Unanswered("a", "s", n, (), never, never) for n in (1, 2))
    interrupt = KeyboardInterrupt()
    note_unanswered(interrupt, inner)
    note_unanswered(interrupt, outer)
    assert unanswered_by(interrupt) is inner


def test_other_interrupts_have_ended_no_wait():
    assert unanswered_by(KeyboardInterrupt()) is None
