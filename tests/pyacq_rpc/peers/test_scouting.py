"""What a scout makes of what it finds; with sockets: see `test_reaching_nobody`."""

from __future__ import annotations

import errno
import types

import pytest

from pyacq_rpc.peers import scouting
from pyacq_rpc.peers.scouting import AGAIN, FIRST, SILENCE, Scout

CUT = OSError(errno.ENETUNREACH, "no way there")
SILENT = TimeoutError("no answer")
REFUSED = ConnectionRefusedError()
FULL = OSError(errno.EMFILE, "too many descriptors")
NO_NAME = UnicodeError("no name of a host")


class World:
    """A channel and all that a scout has of this process, in which it finds what it is told to."""

    def __init__(self, monkeypatch):
        self.link, self.closed, self.address = object(), False, "tcp://there:1"
        self.met_by_another = False
        self.lost, self.planned = [], []
        self.now = 1000.0
        self._finds = []
        self.watcher = types.SimpleNamespace(do=self._plan)
        self.links = types.SimpleNamespace(is_connected=lambda link: self.met_by_another)
        monkeypatch.setattr(scouting, "first_byte", self._first_byte)
        monkeypatch.setattr(scouting, "time", types.SimpleNamespace(monotonic=lambda: self.now))
        monkeypatch.setattr(scouting.threading, "Thread", self._thread)
        self.scout = Scout(self, self)

    def lose(self, what):
        self.lost.append(what)

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
    assert not world.planned


def test_who_is_silent_for_long_is_gone(world):
    assert world.find(SILENT) == ["gives no sign of life"]


def test_so_is_whoever_there_is_no_way_to(world):
    times = int(SILENCE / AGAIN)
    assert world.find(*[CUT] * times) == []
    assert world.find(CUT, CUT) == ["gives no sign of life"]


def test_who_says_something_is_busy(world):
    assert world.find(*[b"\xff", b""] * 10) == []
    assert [delay for _, delay in world.planned] == [AGAIN]


def test_who_says_something_is_not_silent_any_more(world):
    assert world.find(*[CUT, CUT, b"\xff"] * 10) == []


def test_a_fault_of_this_side_tells_nothing(world):
    assert world.find(*[FULL] * 10) == []


def test_where_there_is_no_host_nothing_is_found_out(world):
    assert world.find(NO_NAME) == []
    assert not world.planned


def test_whom_another_connection_reaches_is_there(world):
    world.met_by_another = True
    assert world.find(SILENT, REFUSED, SILENT) == []
    assert [delay for _, delay in world.planned] == [AGAIN]
    world.met_by_another = False
    assert world.find(REFUSED) == ["cannot be reached: nobody listens there"]


@pytest.mark.parametrize("done", [{"link": None}, {"closed": True}])
def test_it_ends_when_the_client_is_greeted_or_closed(world, done):
    assert world.find(b"\xff") == []
    vars(world).update(done)
    world.planned.pop()[0]()
    assert not world.planned


def test_what_it_has_found_is_of_no_use_to_one_that_was_greeted_meanwhile(world):
    world._finds = [REFUSED]
    world.planned.pop(0)[0]()
    world.link = None
    world.planned.pop(0)[0]()
    assert world.lost == world.planned == []


def test_within_a_process_there_is_nothing_to_look_after(monkeypatch):
    world = World(monkeypatch)
    world.address = "inproc://here"
    world.scout.begin()
    assert not world.planned


def test_at_exit_no_thread_is_started_any_more(world, monkeypatch):
    def refuse(**kwds):
        raise RuntimeError("can't start new thread at interpreter shutdown")

    monkeypatch.setattr(
        scouting.threading, "Thread", lambda **kwds: types.SimpleNamespace(start=refuse)
    )
    world.planned.pop()[0]()
    assert not world.planned
