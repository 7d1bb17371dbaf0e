from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from conftest import open_descriptors
from processes import ROOT

from spawner import LogServer, NodeTemplate, ProcessSpawner

if not hasattr(os, "fork"):
    pytest.skip("no fork here", allow_module_level=True)


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
