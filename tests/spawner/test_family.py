from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from processes import gone, in_a_fork

from pyacq_rpc.peers.runtime import current
from spawner import ProcessSpawner
from spawner.family import EXIT_TIMEOUT, Family, Launcher


class TestManyAtExit:
    def busy_nodes(self):
        nodes = [ProcessSpawner() for _ in range(3)]
        for node in nodes:
            node._import("time").sleep(60, _sync="off")
        return nodes

    def test_busy_ones_end_at_the_same_time(self):
        nodes = self.busy_nodes()
        started = time.monotonic()
        current().attachment(Family).stop()
        # One after the other would take three times 1.5 s.
        assert time.monotonic() - started < EXIT_TIMEOUT + 1.0
        assert all(gone(node.pid) for node in nodes)
        with pytest.raises(RuntimeError, match="is ending"):
            ProcessSpawner()

    def test_the_failure_of_one_is_told_and_stops_nothing(self, monkeypatch, caplog):
        nodes = [ProcessSpawner() for _ in range(3)]
        ask = ProcessSpawner.ask_to_close

        def fail_once(node):
            if node is nodes[1]:
                raise OSError("no way")
            ask(node)

        monkeypatch.setattr(ProcessSpawner, "ask_to_close", fail_once)
        current().attachment(Family).stop()
        assert all(gone(node.pid) for node in nodes)
        assert f"{nodes[1].name} could not be asked to close" in caplog.text
        assert "no way" in caplog.text

    def test_there_is_one_launcher_whoever_asks_first(self, monkeypatch):
        at_once = threading.Barrier(8)
        family = current().attachment(Family)
        init = Launcher.__init__

        def slow_init(self):
            time.sleep(0.05)  # long enough for all to come by
            init(self)

        def first():
            at_once.wait()
            return family.launcher

        monkeypatch.setattr(Launcher, "__init__", slow_init)
        with ThreadPoolExecutor(8) as pool:
            futures = [pool.submit(first) for _ in range(8)]
            assert len({future.result() for future in futures}) == 1


class TestForks:
    """What a fork of this process can do to its nodes."""

    @pytest.mark.parametrize("act", ["stop", "kill", "poll", "wait", "ask_to_close"])
    def test_it_cannot_end_them(self, act):
        with ProcessSpawner(name="camera") as node:
            answer = in_a_fork(getattr(node, act))
            assert answer == "RuntimeError: camera belongs to the process that started it"
            assert node._import("math").sqrt(4) == 2

    def test_it_may_leave_the_block(self):
        with ProcessSpawner() as node:
            assert in_a_fork(lambda: node.__exit__(None, None, None)) == "None"
            assert node._import("math").sqrt(4) == 2

    def test_its_own_files_are_left_alone(self):
        def read_a_file():
            with open("/dev/zero", "rb", buffering=0) as file:
                node.abandon()  # once more
                del node.proc.stdin
                return file.read(1)

        with ProcessSpawner() as node:
            assert in_a_fork(read_a_file) == str(b"\0")
