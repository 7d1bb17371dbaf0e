from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from conftest import eventually, fixed_address, open_descriptors
from processes import gone, in_a_fork
from things import Thing

from pyacq_rpc import CallTimeout, RPCClient, ServerDisconnected
from pyacq_rpc.peers.runtime import current
from pyacq_rpc.transport.direct import private_directory
from spawner import ProcessSpawner
from spawner.family import Family


def test_the_twenty_lines_of_the_readme(capfd):
    with ProcessSpawner(name="worker") as proc:
        np = proc._import("numpy")
        a = np.arange(10, _return_type="proxy")
        assert a.sum() == 45
        assert a[3] == 3
        assert len(a) == 10
        assert list(a[:3]) == [0, 1, 2]
        future = np.linalg.svd(a.reshape(2, 5), _sync="async")
        assert future.result().S.shape == (2,)
        proc.client["latest"] = [1, 2]
        assert proc["latest"] == [1, 2]
        proc._import("sys").stdout.write("hi\n", _sync="off")
    assert capfd.readouterr().out == "hi\n"


def test_a_killed_node_leaves_no_socket():
    if not current().direct:
        pytest.skip("it has none")
    with ProcessSpawner() as node:
        mine = f"{node.pid}-"
        assert any(name.startswith(mine) for name in os.listdir(private_directory()))
        node.kill()
        assert not any(name.startswith(mine) for name in os.listdir(private_directory()))


class TestStarting:
    def test_what_is_known_of_it(self):
        with ProcessSpawner(name="camera") as node:
            assert node.name == "camera"
            assert node.address.startswith("tcp://127.0.0.1:")
            assert node.pid == node.proc.pid == node._import("os").getpid()
            assert node.poll() is None
            assert isinstance(node.client, RPCClient)
            assert "camera" in repr(node)
            assert "running" in repr(node)
        assert "exit code 0" in repr(node)

    def test_items_are_the_published_names(self):
        with ProcessSpawner() as node:
            node["a"] = [1]
            assert node["a"] == [1]

    def test_a_node_cannot_be_searched(self):
        with ProcessSpawner() as node:
            for search in (lambda: "a" in node, lambda: list(node)):
                with pytest.raises(TypeError, match=r"^a node cannot .*; use node\[name\]"):
                    search()

    def test_an_import_takes_the_options_of_a_call(self):
        with ProcessSpawner() as node:
            assert node._import("math", _timeout=20, _sync="async").result().sqrt(4) == 2
            assert node._import("math", timeout=20).sqrt(4) == 2

    def test_environment_and_directory(self, tmp_path, monkeypatch):
        monkeypatch.setenv("UNWANTED", "1")
        env = {"WANTED": "yes", "UNWANTED": None}
        with ProcessSpawner(env=env, cwd=tmp_path) as node:
            there = node._import("os")
            assert there.environ["WANTED"] == "yes"
            assert "UNWANTED" not in there.environ
            assert Path(there.getcwd()) == tmp_path

    def test_stdin_of_a_node_is_empty(self):
        with ProcessSpawner() as node:
            assert node._import("sys").stdin.read() == ""

    def test_a_chosen_address_is_used_again_at_once(self):
        address = fixed_address()
        for _ in range(4):
            with ProcessSpawner(address=address) as node:
                assert node.address == address
                assert node._import("math").sqrt(4) == 2

    def test_another_interpreter(self):
        with ProcessSpawner(executable=sys.executable) as node:
            assert node._import("sys").executable == sys.executable

    def test_from_a_thread_that_ends(self):
        nodes = []
        thread = threading.Thread(target=lambda: nodes.append(ProcessSpawner()))
        thread.start()
        thread.join()
        time.sleep(1.5)  # the kernel's watch would have ended it within a second
        assert nodes[0]._import("math").sqrt(4) == 2
        nodes[0].stop()

    def test_nothing_secret_is_in_its_arguments(self):
        with ProcessSpawner(name="secret-name") as node:
            assert "secret-name" not in " ".join(psutil.Process(node.pid).cmdline())


class TestEnding:
    def test_stop_asks_first(self):
        node = ProcessSpawner(output="capture")
        node._import("atexit").register(node._import("builtins").print, "bye")
        assert node.stop() == 0
        assert node.stdout == "bye\n"
        assert node.stop() == 0

    def test_stop_ends_a_busy_node_within_its_timeout(self):
        node = ProcessSpawner()
        node._import("time").sleep(60, _sync="off")
        started = time.monotonic()
        node.stop(timeout=2.0)
        assert time.monotonic() - started < 6
        assert gone(node.pid)

    def test_stop_ends_one_that_ignores_everything(self):
        node = ProcessSpawner()
        node._import("signal").signal(signal.SIGTERM, signal.SIG_IGN)
        node._import("time").sleep(60, _sync="off")
        assert node.stop(timeout=1.0) == -signal.SIGKILL

    def test_kill_takes_what_it_has_started_along(self):
        node = ProcessSpawner()
        there = node._import("subprocess").Popen(["sleep", "60"])
        pid = there.pid._get_value()
        node.kill()
        assert gone(node.pid)
        assert eventually(lambda: gone(pid))

    def test_kill_is_noticed_by_everyone_who_waits(self):
        node = ProcessSpawner()
        future = node._import("time").sleep(60, _sync="async")
        client = node.client
        threading.Timer(0.2, os.kill, (node.pid, signal.SIGKILL)).start()
        with pytest.raises(ServerDisconnected):
            node._import("time").sleep(60, _timeout=None)
        with pytest.raises(ServerDisconnected):
            future.result(10)
        assert client.disconnected()
        assert node.wait(10) == -signal.SIGKILL
        with pytest.raises(ServerDisconnected):
            client.ping()

    def test_a_proxy_of_a_dead_node_never_reaches_its_successor(self):
        address = fixed_address()
        with ProcessSpawner(address=address) as node:
            old = node._import("os")
            pid = old.getpid()
            node.kill()
        with ProcessSpawner(address=address) as successor:
            with pytest.raises(ConnectionError):
                old.getpid()
            assert successor._import("os").getpid() != pid
            with pytest.raises(ConnectionError):
                old.getpid()

    def test_wait(self):
        node = ProcessSpawner()
        with pytest.raises(CallTimeout, match="did not end"):
            node.wait(0.05)
        node.client.close_server(timeout=10)
        assert node.wait(10) == 0

    def test_wait_tells_the_exit_code(self):
        node = ProcessSpawner()
        node._import("os")._exit(7, _sync="off")
        assert node.wait(10) == 7
        assert node.poll() == 7

    def test_poll_gives_back_what_belonged_to_it(self):
        ProcessSpawner(output="discard").stop()  # starts what is started once
        before = len(open_descriptors())
        node = ProcessSpawner(output="discard")
        node.client.close_server(timeout=10)
        assert eventually(lambda: node.poll() is not None)
        assert node.poll() == 0
        assert node not in current().attachment(Family)._running
        assert eventually(lambda: len(open_descriptors()) <= before)

    def test_its_end_may_be_noticed_by_several_threads(self):
        node = ProcessSpawner(output="capture")
        node.client.close_server(timeout=10)
        with ThreadPoolExecutor(8) as pool:
            futures = [pool.submit(act) for act in (node.stop, node.wait) * 4]
            assert [future.result(20) for future in futures] == [0] * 8

    def test_repr_knows_that_it_has_died(self):
        node = ProcessSpawner()
        assert "running" in repr(node)
        os.kill(node.pid, signal.SIGKILL)
        assert eventually(lambda: "ended with exit code -9" in repr(node))
        assert node.stop() == -9

    def test_repr_in_a_fork_does_not_ask(self):
        with ProcessSpawner() as node:
            assert "running" in in_a_fork(lambda: repr(node))
            assert "running" in repr(node)

    def test_stop_ends_one_that_cannot_be_asked(self, monkeypatch, caplog):
        def fail(self):
            raise RuntimeError("can't create new thread")

        node = ProcessSpawner()
        monkeypatch.setattr(ProcessSpawner, "ask_to_close", fail)
        node.stop(1.0)
        assert gone(node.pid)
        assert "could not ask" in caplog.text

    @pytest.mark.parametrize("output", ["capture", "inherit"])
    def test_stop_does_not_wait_for_what_a_node_has_started(self, output):
        node = ProcessSpawner(output=output)
        there = node._import("subprocess").Popen(["sleep", "60"], start_new_session=True)
        pid = there.pid._get_value()
        node._import("os").write(2, b"the last words")
        node.client.ping()
        node.stop()
        try:
            assert node.stderr == "the last words"
            assert not [t for t in threading.enumerate() if node.name in t.name]
            assert not gone(pid)
        finally:
            os.kill(pid, signal.SIGKILL)

    def test_what_a_call_raises_does_not_end_the_node(self):
        with ProcessSpawner() as node:
            with pytest.raises(Exception, match="1") as caught:
                node._import("sys").exit(1)
            assert not isinstance(caught.value, SystemExit)
            assert node._import("math").sqrt(4) == 2

    def test_stop_leaves_other_clients_of_a_successor_alone(self):
        first = ProcessSpawner(address=fixed_address())
        first.client.close_server(timeout=10)
        first.proc.wait(10)
        with ProcessSpawner(address=first.address) as second:
            sqrt = second._import("math").sqrt
            first.stop()
            assert sqrt(4) == 2


class TestOutput:
    def test_it_is_captured_when_asked_for(self):
        with ProcessSpawner(output="capture") as node:
            node._import("builtins").print("hello", flush=True)
            node._import("sys").stderr.write("trouble\n")
        assert node.stdout == "hello\n"
        assert node.stderr == "trouble\n"

    def test_it_is_inherited_otherwise(self, capfd):
        with ProcessSpawner() as node:
            node._import("builtins").print("hello")
            node._import("sys").stderr.write("trouble\n")
        out, err = capfd.readouterr()
        assert (out, err) == ("hello\n", "trouble\n")

    def test_it_can_be_discarded(self, capfd):
        with ProcessSpawner(output="discard") as node:
            node._import("builtins").print("hello")
            node._import("sys").stderr.write("trouble\n")
        assert capfd.readouterr() == ("", "")

    @pytest.mark.parametrize("output", ["capture", "discard"])
    def test_any_bytes_and_any_amount_are_drained(self, output):
        with ProcessSpawner(output=output) as node:
            there = node._import("os")
            for fd in (1, 2):
                there.write(fd, bytes(range(256)) * 16)
                for _ in range(40):
                    assert there.write(fd, b"\xff" * 65536) == 65536
            assert node._import("math").sqrt(4) == 2


# Two hundred in all, in parts that a loaded machine ends within a test's time.
@pytest.mark.parametrize("part", range(5))
def test_two_hundred_rounds_leave_nothing(part, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    threads = threading.active_count() + 2  # the launcher's, and the I/O thread
    with ProcessSpawner(output="discard") as node:
        node.client.ping()
    assert eventually(lambda: threading.active_count() <= threads)
    descriptors = len(open_descriptors())
    for _ in range(4):
        with ThreadPoolExecutor(10) as pool:
            nodes = list(pool.map(lambda _: ProcessSpawner(output="discard"), range(10)))
        for node in nodes:
            node.ask_to_close()
        for node in nodes:
            assert node.stop(20) == 0
    assert eventually(lambda: len(open_descriptors()) <= descriptors)
    assert eventually(lambda: threading.active_count() <= threads)
    assert list(tmp_path.iterdir()) == []


def test_the_level_of_a_node_can_be_chosen_without_a_log_server():
    with ProcessSpawner(output="discard", log_level=logging.DEBUG) as node:
        assert node._import("logging").getLogger().level._get_value() == logging.DEBUG


def test_a_thing_of_a_test_module_lives_in_a_node():
    with ProcessSpawner() as node:
        thing = node._import("things").Thing()
        assert thing.add(1, 2) == 3
        assert Thing().add(1, 2) == 3
