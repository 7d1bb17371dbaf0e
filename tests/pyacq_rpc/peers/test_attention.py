from __future__ import annotations

import threading
import time
import types

import pytest

from pyacq_rpc.peers.attention import Attention
from pyacq_rpc.peers.thread_state import ThreadState
from pyacq_rpc.transport.waiting import Waker


class Scene:
    """A client's connection over which nothing comes by itself."""

    def __init__(self):
        self.pokes, self.pumps, self.pending, self.in_process = [], 0, {}, True
        self.thread = ThreadState()
        self.signal = Waker()
        self.roads = types.SimpleNamespace(fds=[self.signal.fd])
        self.runtime = types.SimpleNamespace(
            waiting=set(), watcher=types.SimpleNamespace(poke=self.pokes.append)
        )
        self.attention = Attention(self.runtime, self.thread)
        self.attention.attend(self, self.pending)

    def signals(self):
        return True

    def pump(self):
        self.pumps += 1
        self.signal.clear()


@pytest.fixture
def scene():
    scene = Scene()
    yield scene
    scene.signal.close()
    scene.thread.close()


class TestWait:
    def test_what_is_done_already(self, scene):
        assert scene.attention.wait(lambda: True, 0, True)
        assert not scene.pumps

    def test_it_reads_what_comes(self, scene):
        scene.signal.wake()
        begin = time.monotonic()
        assert scene.attention.wait(lambda: scene.pumps, 25, True)
        assert time.monotonic() - begin < 20  # at the end of its patience it looks by itself
        assert scene.pumps == 1

    def test_too_late(self, scene):
        assert not scene.attention.wait(lambda: False, 0.01, True)
        assert not scene.attention.waits()
        assert not scene.runtime.waiting

    def test_it_is_known_of_meanwhile(self, scene):
        seen = []

        def is_done():
            seen.append((scene.attention.waits(), scene.attention in scene.runtime.waiting))
            return True

        scene.attention.wait(is_done, 10, True)
        assert seen == [(1, True)]
        assert not scene.attention.waits()

    def test_another_thread_wakes_it(self, scene):
        done = []

        def end():
            done.append(True)
            scene.attention.received()

        thread = threading.Timer(0.05, end)
        thread.start()
        begin = time.monotonic()
        assert scene.attention.wait(lambda: done, 25, True)
        assert time.monotonic() - begin < 20
        thread.join()

    def test_the_one_further_out_looks_again(self, scene):
        def is_done():
            assert scene.attention.wait(lambda: True, 10, True)
            return scene.thread.waker.woken

        assert scene.attention.wait(is_done, 10, True)

    def test_an_error_ends_it(self, scene):
        with pytest.raises(ZeroDivisionError):
            scene.attention.wait(lambda: 1 / 0, 10, True)
        assert not scene.attention.waits()
        assert not scene.runtime.waiting

    def test_what_is_still_to_come_is_left_to_the_io_thread(self, scene):
        scene.attention.wait(lambda: True, 10, True)
        assert not scene.pokes
        scene.pending[1] = "a request"
        scene.attention.wait(lambda: True, 10, True)
        assert scene.pokes == [True]
        assert scene.attention.unattended()


class TestIoThread:
    def test_it_is_told_once(self, scene):
        scene.pending[1] = "a request"
        assert not scene.attention.unattended()
        for _ in range(2):
            scene.attention.arm()
        assert scene.pokes == [False]
        assert scene.attention.unattended()

    def test_it_is_told_again_if_it_has_left_it(self, scene):
        scene.attention.arm()
        scene.attention.disarm()
        scene.attention.arm()
        assert len(scene.pokes) == 2

    def test_an_interrupt_leaves_it_to_the_next(self, scene, monkeypatch):
        def interrupt(_):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(scene.runtime.watcher, "poke", interrupt)
            with pytest.raises(KeyboardInterrupt):
                scene.attention.arm()
        scene.attention.arm()
        assert len(scene.pokes) == 1

    def test_it_has_nothing_to_do_when_all_answers_are_here(self, scene):
        scene.attention.arm()
        assert not scene.attention.unattended()
        scene.attention.arm()
        assert len(scene.pokes) == 2

    def test_it_leaves_it_to_whoever_waits(self, scene):
        scene.pending[1] = "a request"
        scene.attention.arm()
        seen = []

        def is_done():
            seen.append(scene.attention.unattended())
            return True

        scene.attention.wait(is_done, 10, True)
        assert seen == [False]

    def test_whether_more_is_about_to_come(self, scene):
        scene.attention.arm()
        scene.attention.asked += 1
        assert not scene.attention.is_busy()
        scene.attention.asked += 2
        assert scene.attention.is_busy()
        assert not scene.attention.is_busy()  # none since
