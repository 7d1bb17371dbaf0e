from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from conftest import eventually, open_descriptors
from processes import ROOT, gone, in_a_fork, start_parent

from pyacq_rpc import CallTimeout, ServerDisconnected
from pyacq_rpc.peers.runtime import current
from spawner import LogServer, NodeTemplate, ProcessSpawner, SpawnError
from spawner.family import Family

if not hasattr(os, "fork"):
    pytest.skip("no fork here", allow_module_level=True)


@pytest.fixture
def template() -> Iterator[NodeTemplate]:
    with NodeTemplate(name="mould") as template:
        yield template


@pytest.fixture
def module(tmp_path, monkeypatch) -> Callable[[str], str]:
    """Write a module that can be preloaded; its name."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(code: str) -> str:
        (tmp_path / "preloaded_by_a_test.py").write_text(code)
        return "preloaded_by_a_test"

    return write


class TestStarting:
    def test_what_is_known_of_it(self, template):
        with ProcessSpawner(name="camera", template=template) as node:
            assert node.name == "camera"
            assert node.address.startswith("tcp://127.0.0.1:")
            assert node.pid == node.proc.pid == node._import("os").getpid() != template.pid
            assert node._import("os").getppid() == template.pid
            assert node.poll() is None
            assert node.proc.returncode is None
            assert "running" in repr(node)
        assert "exit code 0" in repr(node)

    def test_it_has_what_was_preloaded(self, module):
        name = module("import os; made_in = os.getpid()")
        with NodeTemplate(preload=[name]) as template:
            for _ in range(2):
                with ProcessSpawner(template=template) as node:
                    assert node._import(name).made_in._get_value() == template.pid

    def test_environment_and_directory(self, template, tmp_path, monkeypatch):
        monkeypatch.setenv("UNWANTED", "1")  # the template has never heard of them
        monkeypatch.setenv("INHERITED", "\udcff")
        env = {"WANTED": "yes", "UNWANTED": None}
        with ProcessSpawner(env=env, cwd=tmp_path, template=template) as node:
            there = node._import("os")
            assert there.environ["WANTED"] == "yes"
            assert there.environb[b"INHERITED"] == b"\xff"
            assert "UNWANTED" not in there.environ
            assert Path(there.getcwd()) == tmp_path

    def test_otherwise_it_has_the_directory_and_the_path_of_its_parent(
        self, template, tmp_path, monkeypatch
    ):
        monkeypatch.chdir(tmp_path)
        monkeypatch.syspath_prepend("/somewhere")
        with ProcessSpawner(template=template) as node:
            assert Path(node._import("os").getcwd()) == tmp_path
            assert node._import("sys").path[0] == "/somewhere"

    def test_it_has_a_session_and_a_group_of_its_own(self, template):
        with ProcessSpawner(template=template) as node:
            assert node._import("os").getsid(0) == node.pid
            assert node._import("os").getpgid(0) == node.pid

    def test_stdin_of_a_node_is_empty(self, template):
        with ProcessSpawner(template=template) as node:
            assert node._import("sys").stdin.read() == ""

    def test_no_two_have_the_same_luck(self):
        with (
            NodeTemplate(preload=["numpy.random"]) as template,
            ProcessSpawner(template=template) as one,
            ProcessSpawner(template=template) as two,
        ):
            for module in ("random", "numpy.random"):
                assert one._import(module).random() != two._import(module).random()
            assert one.client.server_id != two.client.server_id

    def test_they_share_no_pipe_and_no_socket(self, template):
        def of(node):
            there = node._import("os")
            fds = [f"/proc/self/fd/{fd}" for fd in there.listdir("/proc/self/fd")]
            return {there.readlink(fd) for fd in fds if there.path.exists(fd)}

        ours = {what for what in open_descriptors().values() if what.startswith(("pipe", "socket"))}
        with (
            ProcessSpawner(template=template, output="discard") as one,
            ProcessSpawner(template=template, output="discard") as two,
        ):
            shared = of(one) & of(two)
            assert not [what for what in shared if what.startswith(("pipe", "socket"))]
            assert len(of(one)) == len(of(two))
            assert not ours & (of(one) | of(two))

    def test_the_template_has_one_thread_and_nothing_of_zmq(self, template):
        with ProcessSpawner(template=template):
            process = psutil.Process(template.pid)
            assert process.num_threads() == 1
            fds = os.listdir(f"/proc/{template.pid}/fd")
            links = [os.readlink(f"/proc/{template.pid}/fd/{fd}") for fd in fds]
            assert "anon_inode:[eventfd]" not in links
            assert not process.net_connections()

    def test_numpy_can_be_preloaded_and_used(self):
        with NodeTemplate(preload=["numpy"]) as template:
            with ProcessSpawner(template=template) as node:
                np = node._import("numpy")
                a = np.arange(250000, _return_type="proxy").reshape(500, 500)
                assert a.dot(a).shape == (500, 500)
            with ProcessSpawner(template=template) as node:
                assert node._import("numpy").ones(3).sum() == 3

    def test_twenty_at_once_from_several_threads(self, template):
        def start(number):
            return ProcessSpawner(f"n{number}", template=template, output="discard")

        with ThreadPoolExecutor(20) as pool:
            nodes = list(pool.map(start, range(20)))
            assert len({node.pid for node in nodes}) == 20
            assert [node._import("operator").add(1, 2) for node in nodes] == [3] * 20
            assert list(pool.map(lambda node: node.stop(20), nodes)) == [0] * 20

    def test_nodes_may_have_templates(self, template):
        with ProcessSpawner(template=template) as node:
            there = node._import("spawner")
            inner = there.ProcessSpawner(template=there.NodeTemplate())
            assert inner._import("os").getppid() != node.pid
            inner.stop()

    def test_a_fork_within_a_node_does_not_keep_it(self, template):
        with ProcessSpawner(template=template) as node:
            there = node._import("os")
            pid = there.fork()
            if pid == 0:
                pytest.fail("this is not the node")
            node.proc.kill()
            assert node.wait(10) == -signal.SIGKILL
            os.kill(pid, signal.SIGKILL)

    def test_what_it_writes_to_a_pipe_is_buffered_as_usual(self, template):
        with ProcessSpawner(template=template, output="capture") as node:
            assert not node._import("sys").stdout.line_buffering._get_value()
            node._import("builtins").print("hello")
            node._import("sys").stderr.write("trouble\n")
        assert (node.stdout, node.stderr) == ("hello\n", "trouble\n")

    def test_its_output_is_inherited(self, template, capfd):
        with ProcessSpawner(template=template) as node:
            node._import("builtins").print("hello")
            node._import("sys").stderr.write("trouble\n")
        assert capfd.readouterr() == ("hello\n", "trouble\n")

    def test_its_output_can_be_discarded(self, template, capfd):
        with ProcessSpawner(template=template, output="discard") as node:
            node._import("builtins").print("hello")
        assert capfd.readouterr() == ("", "")

    def test_what_a_preloaded_module_prints_is_printed_once(self, module, capfd):
        with NodeTemplate(preload=[module("print('loaded')")]) as template:
            for _ in range(2):
                ProcessSpawner(template=template).stop()
        assert capfd.readouterr().out == "loaded\n"

    def test_its_records_and_its_output_go_to_the_log_server(self, template):
        class Keep(logging.Handler):
            def emit(self, record):
                kept.append((record.processName, record.name, record.getMessage(), record.process))

        kept = []
        logger = logging.Logger("gathered")
        logger.addHandler(Keep())
        with (
            LogServer(logger) as log_server,
            ProcessSpawner(
                "camera", log_addr=log_server.address, log_level="INFO", template=template
            ) as node,
        ):
            node._import("logging").getLogger("shutter").info("slow")
            node._import("builtins").print("closing")
        assert ("camera", "shutter", "slow", node.pid) in kept
        assert ("camera", "camera.stdout", "closing", node.pid) in kept

    def test_another_interpreter_is_the_template_s(self):
        with (
            NodeTemplate(executable=sys.executable, env={"PYTHONHASHSEED": "0"}) as template,
            ProcessSpawner(template=template) as node,
        ):
            assert node._import("sys").executable == sys.executable
            assert node._import("sys").flags.hash_randomization._get_value() == 0


class TestRefusing:
    def test_what_only_the_template_can_have(self, template):
        with pytest.raises(ValueError, match="give the executable to NodeTemplate"):
            ProcessSpawner(template=template, executable=sys.executable)
        for name in ("PYTHONHASHSEED", "LD_PRELOAD"):
            with pytest.raises(ValueError, match=f"{name} is read when a process starts"):
                ProcessSpawner(template=template, env={name: "1"})

    def test_a_single_name(self):
        with pytest.raises(TypeError, match=r"did you mean \['numpy'\]"):
            NodeTemplate(preload="numpy")

    def test_a_system_without_fork(self, monkeypatch):
        monkeypatch.delattr(os, "fork")
        with pytest.raises(NotImplementedError, match="this system has no fork"):
            NodeTemplate()

    def test_a_stopped_template(self, template):
        template.stop()
        with pytest.raises(SpawnError, match="mould has ended with exit code 0"):
            ProcessSpawner(template=template)

    def test_a_template_that_is_about_to_end(self, template):
        with ProcessSpawner(template=template):
            template.stop()
            with pytest.raises(RuntimeError, match="mould was stopped; make another"):
                ProcessSpawner(template=template)

    @pytest.mark.parametrize("act", ["stop", "kill", "poll", "wait"])
    def test_forks_of_this_process(self, template, act):
        error = "RuntimeError: mould belongs to the process that started it"
        assert in_a_fork(getattr(template, act)) == error
        assert in_a_fork(lambda: ProcessSpawner(template=template)) == error
        assert in_a_fork(lambda: template.__exit__(None, None, None)) == "None"
        assert template.poll() is None

    @pytest.mark.parametrize("act", ["stop", "kill", "poll", "wait"])
    def test_forks_of_this_process_for_nodes(self, template, act):
        with ProcessSpawner("camera", template=template) as node:
            error = "RuntimeError: camera belongs to the process that started it"
            assert in_a_fork(getattr(node, act)) == error
            assert node._import("math").sqrt(4) == 2


class TestFailing:
    def test_a_taken_address(self, template, server):
        with pytest.raises(SpawnError, match="Address already in use") as caught:
            ProcessSpawner(address=server.address, template=template)
        assert caught.value.exit_code == 1

    def test_a_directory_that_is_not_there(self, template):
        with pytest.raises(SpawnError, match="No such file or directory: '/no/such'"):
            ProcessSpawner(cwd="/no/such", template=template)

    def test_the_end_of_stderr_is_told(self, module):
        name = module(
            "import os, pyacq_rpc\n"
            "def fail(*args, **kwds):\n"
            "    os.write(2, b'the camera is unplugged'); os._exit(3)\n"
            "pyacq_rpc.RPCServer = fail\n"
        )
        with NodeTemplate(preload=[name]) as template:
            with pytest.raises(SpawnError, match="exit code 3") as caught:
                ProcessSpawner(template=template)
            assert caught.value.exit_code == 3
            assert "unplugged" in caught.value.stderr

    def test_a_module_that_is_not_there(self):
        with pytest.raises(SpawnError, match="No module named 'no_such_module'") as caught:
            NodeTemplate(preload=["no_such_module"])
        assert caught.value.exit_code == 1

    def test_a_module_that_starts_a_thread(self, module):
        name = module(
            "import threading\n"
            "threading.Thread(target=threading.Event().wait, name='busy', daemon=True).start()"
        )
        with pytest.raises(SpawnError, match=r"has started threads.*'busy'"):
            NodeTemplate(preload=[name])

    def test_a_module_that_opens_a_context(self, module):
        with pytest.raises(SpawnError, match="has opened a zmq context"):
            NodeTemplate(preload=[module("import zmq; context = zmq.Context()")])

    def test_a_module_that_never_comes(self, module):
        with pytest.raises(SpawnError, match=r"did not start within 0\.5 s"):
            NodeTemplate(preload=[module("import time; time.sleep(60)")], start_timeout=0.5)

    def test_a_dead_template(self, template):
        os.kill(template.pid, signal.SIGKILL)
        with pytest.raises(SpawnError, match="mould has ended with exit code -9; make another"):
            ProcessSpawner(template=template)
        assert template.poll() == -signal.SIGKILL

    def test_a_template_that_dies_halfway(self, template):
        os.kill(template.pid, signal.SIGSTOP)
        with ThreadPoolExecutor(3) as pool:
            starting = [pool.submit(ProcessSpawner, template=template) for _ in range(3)]
            assert eventually(lambda: len(template._nodes) == 3)
            os.kill(template.pid, signal.SIGKILL)
            for future in starting:
                with pytest.raises(SpawnError, match="has ended with exit code -9"):
                    future.result(10)

    def test_a_template_that_does_not_answer(self, template):
        os.kill(template.pid, signal.SIGSTOP)
        with pytest.raises(SpawnError, match=r"within 0\.2 s: mould does not answer"):
            ProcessSpawner(template=template, start_timeout=0.2)
        os.kill(template.pid, signal.SIGCONT)
        # The node that was given up is forked now, and ends at once.
        with ProcessSpawner(template=template) as node:
            assert node._import("math").sqrt(4) == 2
            assert eventually(lambda: len(psutil.Process(template.pid).children()) == 1)

    @pytest.mark.parametrize("delay", [0.0003, 0.0006, 0.001, 0.002, 0.004, 0.008, 0.02])
    def test_nothing_is_left_when_starting_is_interrupted(self, template, delay):
        class Interrupt(BaseException):
            pass

        def interrupt(signum, frame):
            raise Interrupt

        def start_and_use():
            ProcessSpawner(template=template)
            signal.pause()  # it was quicker

        ProcessSpawner(template=template).stop()
        before = open_descriptors()
        previous = signal.signal(signal.SIGALRM, interrupt)
        try:
            signal.setitimer(signal.ITIMER_REAL, delay)
            with pytest.raises(Interrupt):
                start_and_use()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)
            for node in list(current().attachment(Family)._running):
                node.stop()
        assert eventually(lambda: open_descriptors().items() <= before.items())
        assert eventually(lambda: not psutil.Process(template.pid).children())


class TestEnding:
    def test_stop_asks_first(self, template):
        node = ProcessSpawner(output="capture", template=template)
        node._import("atexit").register(node._import("builtins").print, "bye")
        assert node.stop() == 0
        assert node.stdout == "bye\n"
        assert node.stop() == 0

    def test_stop_ends_a_busy_node_within_its_timeout(self, template):
        node = ProcessSpawner(template=template)
        node._import("time").sleep(60, _sync="off")
        started = time.monotonic()
        assert node.stop(timeout=6.0) == 128 + signal.SIGTERM
        assert time.monotonic() - started < 10
        assert gone(node.pid)

    def test_stop_ends_one_that_ignores_everything(self, template):
        node = ProcessSpawner(template=template)
        node._import("signal").signal(signal.SIGTERM, signal.SIG_IGN)
        node._import("time").sleep(60, _sync="off")
        assert node.stop(timeout=1.0) == -signal.SIGKILL

    def test_kill_takes_what_it_has_started_along(self, template):
        node = ProcessSpawner(template=template)
        pid = node._import("subprocess").Popen(["sleep", "60"]).pid._get_value()
        node.kill()
        assert gone(node.pid)
        assert eventually(lambda: gone(pid))

    def test_kill_is_noticed_by_everyone_who_waits(self, template):
        node = ProcessSpawner(template=template)
        future = node._import("time").sleep(60, _sync="async")
        os.kill(node.pid, signal.SIGKILL)
        with pytest.raises(ServerDisconnected):
            future.result(10)
        assert node.wait(10) == -signal.SIGKILL
        assert node.poll() == node.proc.returncode == -signal.SIGKILL

    def test_wait(self, template):
        node = ProcessSpawner(template=template)
        with pytest.raises(CallTimeout, match="did not end"):
            node.wait(0.05)
        node._import("os")._exit(7, _sync="off")
        assert node.wait(10) == 7

    def test_its_process_can_be_sent_signals(self, template):
        node = ProcessSpawner(template=template)
        node.proc.send_signal(0)
        node.proc.terminate()
        assert node.proc.wait(10) == 128 + signal.SIGTERM
        node.proc.terminate()  # too late, and no matter
        node.stop()

    def test_its_end_may_be_noticed_by_several_threads(self, template):
        node = ProcessSpawner(output="capture", template=template)
        with ThreadPoolExecutor(8) as pool:
            futures = [pool.submit(node.wait) for _ in range(4)]
            futures += [pool.submit(node.stop) for _ in range(4)]
            assert [future.result(20) for future in futures] == [0] * 8

    def test_a_template_that_does_not_answer_keeps_nobody_waiting(self, template, monkeypatch):
        monkeypatch.setattr("spawner.start.KILL_TIMEOUT", 0.1)
        node = ProcessSpawner(template=template)
        os.kill(template.pid, signal.SIGSTOP)
        node.kill()
        assert node.poll() == -signal.SIGKILL
        assert gone(node.pid)

    def test_nodes_live_on_when_their_template_is_stopped(self):
        with NodeTemplate() as template:
            nodes = [ProcessSpawner(template=template) for _ in range(2)]
        assert [node._import("math").sqrt(4) for node in nodes] == [2, 2]
        assert template.poll() is None  # it waits for them
        nodes[0]._import("os")._exit(7, _sync="off")
        assert nodes[0].wait(10) == 7
        assert template.poll() is None
        assert nodes[1].stop() == 0
        assert template.poll() == 0

    def test_nodes_live_on_when_their_template_is_killed(self, template):
        nodes = [ProcessSpawner(template=template) for _ in range(3)]
        template.kill()
        assert template.wait() == -signal.SIGKILL
        assert [node._import("math").sqrt(4) for node in nodes] == [2, 2, 2]
        assert [node.poll() for node in nodes] == [None, None, None]
        nodes[0]._import("os")._exit(7, _sync="off")
        assert nodes[0].wait(10) == 255  # nobody could tell
        assert nodes[1].stop() == 255
        nodes[2].kill()
        assert all(gone(node.pid) for node in nodes)

    def test_all_end_at_exit(self):
        template = NodeTemplate()
        nodes = [ProcessSpawner(template=template) for _ in range(3)]
        nodes[0]._import("time").sleep(60, _sync="off")
        current().attachment(Family).stop()
        assert [node.poll() for node in nodes] == [128 + signal.SIGTERM, 0, 0]
        assert template.poll() == 0

    def test_the_template_tells_what_it_is(self, template):
        assert repr(template) == f"<NodeTemplate mould, process {template.pid}, running>"
        with pytest.raises(CallTimeout, match="mould"):
            template.wait(0.01)
        template.stop()
        assert "exit code 0" in repr(template)
        template.stop()
        template.kill()

    def test_repr_knows_that_they_have_died(self, template):
        node = ProcessSpawner(template=template)
        assert "running" in repr(node)
        os.kill(node.pid, signal.SIGKILL)
        assert eventually(lambda: "ended with exit code" in repr(node))
        os.kill(template.pid, signal.SIGKILL)
        assert eventually(lambda: "ended with exit code -9" in repr(template))


# Three hundred in all, in parts that a loaded machine ends within a test's time.
@pytest.mark.parametrize("part", range(5))
def test_three_hundred_rounds_leave_nothing(part, template):
    with ProcessSpawner(output="discard", template=template) as node:
        node.client.ping()
    threads = threading.active_count()
    descriptors = len(open_descriptors())
    there = psutil.Process(template.pid)
    theirs, memory = there.num_fds(), there.memory_info().rss
    for _ in range(60):
        with ProcessSpawner(output="discard", template=template) as node:
            node.client.ping()
    assert eventually(lambda: len(open_descriptors()) <= descriptors)
    assert eventually(lambda: threading.active_count() <= threads)
    assert eventually(lambda: there.num_fds() <= theirs)
    assert not there.children()
    assert there.memory_info().rss < memory + 500_000


class TestOrphans:
    @pytest.mark.parametrize("killed", ["parent", "template first"])
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
    def test_a_node_ends_when_its_parent_is_killed(self, busy, killed):
        kill = "import os; os.kill(template.pid, 9); template.wait()" if killed != "parent" else ""
        parent, pid = start_parent(
            f"{busy}; time.sleep(0.3); {kill}\nprint(template.pid, flush=True); time.sleep(60)",
            "template=(template := NodeTemplate())",
        )
        template = int(parent.stdout.readline())
        assert not gone(pid)
        parent.kill()
        parent.wait()
        parent.stdout.close()
        assert eventually(lambda: gone(pid), 2.0 + 3.0)  # 2 s, and some for a loaded machine
        assert eventually(lambda: gone(template))

    def test_it_may_still_clean_up_when_its_parent_is_killed(self, tmp_path):
        mark = tmp_path / "closed"
        parent, pid = start_parent(
            f"node._import('atexit').register(node._import('pathlib').Path({str(mark)!r}).touch);"
            "print('ready', flush=True); time.sleep(60)",
            "template=NodeTemplate()",
        )
        parent.stdout.readline()
        parent.kill()
        parent.wait()
        parent.stdout.close()
        assert eventually(lambda: gone(pid))
        assert mark.exists()

    def test_a_parent_that_just_ends_stops_all(self):
        parent, pid = start_parent(
            "print(template.pid, flush=True)", "template=(template := NodeTemplate())"
        )
        template = int(parent.stdout.readline())
        parent.stdout.close()
        assert parent.wait(20) == 0
        assert eventually(lambda: gone(pid) and gone(template), 5.0)

    def test_a_fork_of_the_parent_keeps_nothing_alive(self):
        parent, pid = start_parent(
            "import os, warnings; warnings.simplefilter('ignore')\n"
            "child = os.fork()\n"
            "if child == 0: time.sleep(30); os._exit(0)\n"
            "print(child, template.pid, flush=True); time.sleep(60)",
            "output='discard', template=(template := NodeTemplate())",
        )
        forked, template = map(int, parent.stdout.readline().split())
        parent.kill()
        parent.wait()
        parent.stdout.close()
        assert eventually(lambda: gone(pid) and gone(template), 5.0)
        os.kill(forked, signal.SIGKILL)

    def test_a_template_that_imports_for_ever_ends_with_its_parent(self, module, tmp_path):
        name = module("import os; print(os.getpid(), flush=True)\nwhile True: pass")
        parent, pid = start_parent(
            f"sys.path.insert(0, {str(tmp_path)!r}); NodeTemplate(preload=[{name!r}])"
        )
        template = int(parent.stdout.readline())
        parent.kill()
        parent.wait()
        parent.stdout.close()
        assert eventually(lambda: gone(pid) and gone(template), 5.0)


@pytest.mark.parametrize("output", ["inherit", "capture"])
def test_a_parent_without_stdout_can_have_them(output):
    code = (
        "import os, sys; os.close(1); os.open(os.devnull, os.O_RDONLY); os.close(1)\n"
        "from spawner import *\n"
        f"with NodeTemplate() as t, ProcessSpawner(template=t, output={output!r}) as node:\n"
        "    node._import('os').write(1, b'hello')\n"
        "print(node.stdout, node.poll(), file=sys.stderr)"
    )
    run = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert run.stderr == ("hello" if output == "capture" else "") + " 0\n"
