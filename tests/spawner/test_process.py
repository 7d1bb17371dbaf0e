from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from conftest import eventually, open_descriptors
from things import Thing

from pyacq_rpc import CallTimeout, RPCClient, ServerDisconnected
from pyacq_rpc.peers.runtime import current
from spawner import ProcessSpawner, SpawnError
from spawner.family import EXIT_TIMEOUT, Family, Launcher

ROOT = Path(__file__).parents[2]


def gone(pid: int) -> bool:
    """Whether a process has ended, reaped or not."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


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
        with ProcessSpawner() as node:
            address = node.address
        for _ in range(3):
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


class TestFailing:
    def test_a_taken_address(self, server):
        with pytest.raises(SpawnError, match="Address already in use") as caught:
            ProcessSpawner(address=server.address)
        assert caught.value.exit_code == 1

    def test_an_interpreter_that_is_not_there(self):
        with pytest.raises(SpawnError, match="no/such/python"):
            ProcessSpawner(executable="/no/such/python")

    def test_a_process_that_dies_says_why_at_once(self, tmp_path, capfd):
        script = tmp_path / "python"
        script.write_text("#!/bin/sh\nexec 1>&2; echo the camera is unplugged; exit 3\n")
        script.chmod(0o755)
        started = time.monotonic()
        with pytest.raises(SpawnError, match="exit code 3") as caught:
            ProcessSpawner(executable=str(script))
        assert caught.value.exit_code == 3
        assert "unplugged" in caught.value.stderr
        assert "unplugged" in str(caught.value)
        assert time.monotonic() - started < 10

    def test_one_that_never_reports(self, tmp_path):
        script = tmp_path / "python"
        script.write_text("#!/bin/sh\nsleep 60\n")
        script.chmod(0o755)
        with pytest.raises(SpawnError, match=r"did not start within 0\.5 s"):
            ProcessSpawner(executable=str(script), start_timeout=0.5)

    def test_one_that_closes_its_output_and_hangs(self, tmp_path):
        script = tmp_path / "python"
        script.write_text("#!/bin/sh\nexec >&- 2>&-; sleep 60\n")
        script.chmod(0o755)
        with pytest.raises(SpawnError):
            ProcessSpawner(executable=str(script), start_timeout=1.0)

    def test_arguments_are_checked(self):
        with pytest.raises(ValueError, match="output"):
            ProcessSpawner(output="loud")
        with pytest.raises(ValueError, match="log server"):
            ProcessSpawner(output="log")
        with pytest.raises(ValueError, match="address"):
            ProcessSpawner(address="nowhere")

    @pytest.mark.parametrize(
        "arguments",
        [{"env": {"A": 1}}, {"log_level": object()}, {"executable": "/no/such/python"}],
        ids=["environment", "configuration", "interpreter"],
    )
    def test_nothing_is_left_of_what_cannot_start(self, arguments):
        ProcessSpawner().stop()  # starts what is started once
        before = open_descriptors()
        for _ in range(3):
            with pytest.raises((TypeError, SpawnError)):
                ProcessSpawner(**arguments)
        assert open_descriptors() == before
        assert not psutil.Process().children()

    @pytest.mark.parametrize("delay", [0.0005, 0.001, 0.002, 0.004, 0.008, 0.02, 0.05])
    def test_nothing_is_left_when_starting_is_interrupted(self, delay):
        class Interrupt(BaseException):
            pass

        def interrupt(signum, frame):
            raise Interrupt

        ProcessSpawner().stop()
        before = open_descriptors()
        previous = signal.signal(signal.SIGALRM, interrupt)
        try:
            signal.setitimer(signal.ITIMER_REAL, delay)
            with pytest.raises(Interrupt):
                ProcessSpawner()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)
        # The launcher may still be about to find that nobody wants the process.
        assert eventually(lambda: open_descriptors() == before)
        assert eventually(lambda: not psutil.Process().children())

    def test_one_given_up_before_its_turn_is_never_started(self, monkeypatch):
        from spawner.start import NodeProcess

        orders = []

        class Later:
            def run(self, order):
                orders.append(order)
                raise KeyboardInterrupt

        process = NodeProcess("late", "discard", None)
        with pytest.raises(KeyboardInterrupt):
            process.start(Later(), None, {}, None, None)
        process.cancel()
        orders[0]()
        assert process.proc is None

    def test_a_long_report_with_braces_is_read_whole(self):
        with pytest.raises(SpawnError, match="while it started") as caught:
            ProcessSpawner(address="tcp://" + "}" * 300_000)
        assert caught.value.exit_code == 1

    def test_a_report_is_read_though_something_keeps_the_pipe_open(self, tmp_path):
        script = tmp_path / "python"
        script.write_text(
            f"#!{sys.executable}\n"
            "import json, os, subprocess, sys, time\n"
            "fd = json.loads(sys.stdin.readline())['report_fd']\n"
            "subprocess.Popen(['sleep', '60'], pass_fds=[fd])\n"
            "os.write(fd, json.dumps({'error': 'no camera'}).encode() + b'\\n')\n"
            "time.sleep(60)\n"
        )
        script.chmod(0o755)
        started = time.monotonic()
        with pytest.raises(SpawnError, match="no camera"):
            ProcessSpawner(executable=str(script))
        assert time.monotonic() - started < 10


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
        with ProcessSpawner() as node:
            address = node.address
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
        node.client.close_server()
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
        node.client.close_server()
        assert eventually(lambda: node.poll() is not None)
        assert node.poll() == 0
        assert node not in current().attachment(Family)._running
        assert eventually(lambda: len(open_descriptors()) <= before)

    def test_its_end_may_be_noticed_by_several_threads(self):
        node = ProcessSpawner(output="capture")
        node.client.close_server()
        with ThreadPoolExecutor(8) as pool:
            futures = [pool.submit(act) for act in (node.stop, node.wait) * 4]
            assert [future.result(20) for future in futures] == [0] * 8

    def test_repr_changes_nothing(self):
        node = ProcessSpawner()
        node.client.close_server()
        assert eventually(lambda: gone(node.pid))
        assert "running" in repr(node)  # as far as was asked
        assert node.proc.returncode is None
        node.stop()
        assert "exit code 0" in repr(node)

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
        first = ProcessSpawner()
        first.client.close_server()
        first.proc.wait(10)
        with ProcessSpawner(address=first.address) as second:
            sqrt = second._import("math").sqrt
            first.stop()
            assert sqrt(4) == 2


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

    @staticmethod
    def in_a_fork(act):
        """Return what `act` does there, as text."""
        read, write = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # there are threads
            pid = os.fork()
        if pid == 0:
            try:
                answer = str(act())
            except BaseException as error:  # noqa: BLE001  # it must not go on as a second pytest
                answer = f"{type(error).__name__}: {error}"
            os.write(write, answer.encode())
            os._exit(0)
        os.close(write)
        with os.fdopen(read) as pipe:
            answer = pipe.read()
        os.waitpid(pid, 0)
        return answer

    @pytest.mark.parametrize("act", ["stop", "kill", "poll", "wait", "ask_to_close"])
    def test_it_cannot_end_them(self, act):
        with ProcessSpawner(name="camera") as node:
            answer = self.in_a_fork(getattr(node, act))
            assert answer == "RuntimeError: camera belongs to the process that started it"
            assert node._import("math").sqrt(4) == 2

    def test_it_may_leave_the_block(self):
        with ProcessSpawner() as node:
            assert self.in_a_fork(lambda: node.__exit__(None, None, None)) == "None"
            assert node._import("math").sqrt(4) == 2

    def test_its_own_files_are_left_alone(self):
        def read_a_file():
            with open("/dev/zero", "rb", buffering=0) as file:
                node.abandon()  # once more
                del node.proc.stdin
                return file.read(1)

        with ProcessSpawner() as node:
            assert self.in_a_fork(read_a_file) == str(b"\0")


PARENT = """
import sys, time
from spawner import ProcessSpawner
node = ProcessSpawner({arguments})
print(node.pid, flush=True)
{then}
"""


def start_parent(then: str, arguments: str = "") -> tuple[subprocess.Popen[str], int]:
    code = PARENT.format(then=then, arguments=arguments)
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    return parent, int(parent.stdout.readline())


class TestOrphans:
    @pytest.mark.parametrize(
        "busy",
        [
            "pass",
            "node._import('time').sleep(60, _sync='off')",
            # A regular expression that takes for ever, and never gives the GIL back.
            "node._import('re').match('(a*)*b', 'a' * 60, _sync='off')",
            "node._import('signal').signal(15, 1)",
        ],
        ids=["idle", "busy", "holding the GIL", "ignoring SIGTERM"],
    )
    def test_a_node_ends_when_its_parent_is_killed(self, busy):
        parent, pid = start_parent(
            f"{busy}; time.sleep(0.3); print('ready', flush=True); time.sleep(60)"
        )
        parent.stdout.readline()
        parent.kill()
        parent.wait()
        parent.stdout.close()
        assert eventually(lambda: gone(pid), 2.0 + 3.0)  # 2 s, and some for a loaded machine

    def test_it_may_still_clean_up_when_its_parent_is_killed(self, tmp_path):
        mark = tmp_path / "closed"
        then = (
            f"node._import('atexit').register(node._import('pathlib').Path({str(mark)!r}).touch);"
            "print('ready', flush=True); time.sleep(60)"
        )
        parent, pid = start_parent(then)
        parent.stdout.readline()
        parent.kill()
        parent.wait()
        parent.stdout.close()
        assert eventually(lambda: gone(pid))
        assert mark.exists()

    def test_a_parent_that_just_ends_stops_its_nodes(self):
        parent, pid = start_parent("pass")
        parent.stdout.close()
        assert parent.wait(20) == 0
        assert eventually(lambda: gone(pid), 5.0)

    def test_a_parent_that_fails_stops_its_nodes(self):
        parent, pid = start_parent("sys.exit(3)")
        parent.stdout.close()
        assert parent.wait(20) == 3
        assert eventually(lambda: gone(pid), 5.0)

    def test_a_fork_of_the_parent_does_not_keep_nodes_alive(self):
        parent, pid = start_parent(
            "import os, warnings; warnings.simplefilter('ignore')\n"
            "child = os.fork()\n"
            "if child == 0: time.sleep(30); os._exit(0)\n"
            "print(child, flush=True); time.sleep(60)",
            "output='discard'",
        )
        forked = int(parent.stdout.readline())
        parent.kill()
        parent.wait()
        parent.stdout.close()
        assert eventually(lambda: gone(pid), 5.0)
        os.kill(forked, signal.SIGKILL)

    def test_nodes_of_nodes_end_too(self):
        then = (
            "inner = node._import('spawner').ProcessSpawner()\n"
            "print(inner.pid._get_value(), flush=True)\n"
            "time.sleep(60)"
        )
        parent, pid = start_parent(then)
        inner = int(parent.stdout.readline())
        parent.kill()
        parent.wait()
        parent.stdout.close()
        assert eventually(lambda: gone(pid) and gone(inner), 8.0)


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
