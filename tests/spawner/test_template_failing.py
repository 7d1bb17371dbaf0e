"""What a template refuses, and how failures to start are told."""

from __future__ import annotations

import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from conftest import eventually, open_descriptors
from processes import in_a_fork

from pyacq_rpc.peers.runtime import current
from spawner import NodeTemplate, ProcessSpawner, SpawnError
from spawner.family import Family

if not hasattr(os, "fork"):
    pytest.skip("no fork here", allow_module_level=True)


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
            signal.setitimer(signal.ITIMER_REAL, delay)
            ProcessSpawner(template=template)
            time.sleep(1)  # it was quicker

        ProcessSpawner(template=template).stop()
        before = open_descriptors()
        previous = signal.signal(signal.SIGALRM, interrupt)
        try:
            with pytest.raises(Interrupt):
                start_and_use()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)
            for node in list(current().attachment(Family)._running):
                node.stop()
        assert eventually(lambda: open_descriptors().items() <= before.items())
        assert eventually(lambda: not psutil.Process(template.pid).children())
