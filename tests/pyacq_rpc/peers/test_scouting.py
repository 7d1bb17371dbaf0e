"""What a scout makes of what it finds; with sockets: see `test_reaching_nobody`."""

from __future__ import annotations

import errno
import types

import pytest

from pyacq_rpc.peers import scouting
from pyacq_rpc.peers.scouting import AGAIN, FIRST, PATIENCE, SILENCE, Scout

CUT = OSError(errno.ENETUNREACH, "no way there")
SILENT = TimeoutError("no answer")
REFUSED = ConnectionRefusedError()
FULL = OSError(errno.EMFILE, "too many descriptors")
NO_NAME = UnicodeError("no name of a host")


class World:
    """A client, its channel, and all that a scout has of this process; it finds what it is told."""

    def __init__(self, monkeypatch):
        self.link, self.closed, self.address = object(), False, "tcp://there:1"
        self.is_through = self.is_awaited = self.met_by_another = False
        self.lost, self.gone, self.planned = [], [], []
        self.channel = self
        self.now = 1000.0
        self._finds = []
        self.watcher = types.SimpleNamespace(do=self._plan)
        self.links = types.SimpleNamespace(
            is_connected=lambda link: self.met_by_another, not_met=self.gone.append
        )
        monkeypatch.setattr(scouting, "first_byte", self._first_byte)
        monkeypatch.setattr(scouting, "time", types.SimpleNamespace(monotonic=lambda: self.now))
        monkeypatch.setattr(scouting.threading, "Thread", self._thread)
        self.scout = Scout(self, self)

    def check_monitor(self):
        pass

    def connected(self):
        return self.is_through

    def reaches_nobody(self):
        return not (self.is_through or self.is_awaited)

    def close(self):
        self.closed = True

    def lose(self, what):
        self.lost.append(what)
        self.closed = True

    def _plan(self, job, delay=0.0):
        self.planned.append((job, delay))

    def _thread(self, target, **kwds):
        return types.SimpleNamespace(start=target)

    def _first_byte(self, address, timeout):
        assert (address, timeout) == (self.address, SILENCE)
        found = self._finds.pop(0)
        if found is SILENT:
            self.now += timeout
        if isinstance(found, Exception):
            raise found
        return found

    def find(self, *finds):
        """Let the scout find this, one after the other; return what it has found lost by then."""
        self._finds = list(finds)
        while self._finds or (self.planned and not self.planned[0][1]):
            job, delay = self.planned.pop(0)
            self.now += delay
            job()
        return self.lost


@pytest.fixture
def world(monkeypatch):
    world = World(monkeypatch)
    world.scout.begin()
    assert [delay for _, delay in world.planned] == [FIRST]
    return world


@pytest.mark.parametrize("refusal", [REFUSED, FileNotFoundError()])
def test_nobody_listens(world, refusal):
    assert world.find(refusal) == ["cannot be reached: nobody listens there"]
    assert world.gone == [world.link]
    assert not world.planned


def test_who_is_silent_for_long_is_given_up(world):
    """But it may come back to life, or have no descriptors for anybody new."""
    assert world.find(SILENT) == ["gives no sign of life"]
    assert not world.gone
    assert not world.planned


def test_so_is_whoever_there_is_no_way_to(world):
    times = int(SILENCE / AGAIN)
    assert world.find(*[CUT] * times) == []
    assert world.find(CUT, CUT) == ["gives no sign of life"]
    assert not world.gone


def test_who_says_something_is_busy(world):
    assert world.find(*[b"\xff", b""] * 10) == []
    assert [delay for _, delay in world.planned] == [AGAIN]


def test_who_says_something_is_not_silent_any_more(world):
    assert world.find(*[CUT, CUT, b"\xff"] * 10) == []


def test_a_fault_of_this_side_tells_nothing(world):
    assert world.find(*[FULL] * 10) == []


def test_where_there_is_no_host_is_nobody(world):
    assert world.find(NO_NAME) == ["cannot be reached: there is no such host"]
    assert world.gone == [world.link]


@pytest.mark.parametrize("found", [FULL, b"\xff"])
def test_a_client_that_nobody_waits_for_is_closed_after_a_while(world, found):
    """It may have been made for what somebody has sent."""
    world.is_awaited = True
    assert world.find(*[found] * 2 * int(PATIENCE / AGAIN)) == []
    assert not world.closed
    world.is_awaited = False
    assert world.find() == []
    world.planned.pop()[0]()
    assert world.closed
    assert not world.planned


def test_whom_another_connection_reaches_is_there(world):
    world.met_by_another = True
    assert world.find(SILENT, REFUSED, SILENT) == []
    assert [delay for _, delay in world.planned] == [AGAIN]
    assert not world.gone
    world.met_by_another = False
    assert world.find(REFUSED) == ["cannot be reached: nobody listens there"]


OVER = pytest.mark.parametrize("what", [{"is_through": True}, {"closed": True}])


@OVER
def test_it_ends_when_the_client_gets_through_or_is_closed(world, what):
    assert world.find(b"\xff") == []
    vars(world).update(what)
    world.planned.pop()[0]()
    assert not world.planned


@OVER
@pytest.mark.parametrize("found", [REFUSED, SILENT])
def test_what_it_has_found_is_of_no_use_then(world, found, what):
    world._finds = [found]
    world.planned.pop(0)[0]()
    vars(world).update(what)
    world.planned.pop(0)[0]()
    assert world.lost == world.gone == world.planned == []


def test_within_a_process_there_is_nothing_to_look_after(monkeypatch):
    world = World(monkeypatch)
    world.address = "inproc://here"
    world.scout.begin()
    assert not world.planned


def test_where_no_thread_can_be_started_it_is_tried_again(world, monkeypatch):
    def refuse():
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(
        scouting.threading, "Thread", lambda **kwds: types.SimpleNamespace(start=refuse)
    )
    world.planned.pop()[0]()
    assert [delay for _, delay in world.planned] == [AGAIN]
