from __future__ import annotations

import signal
import sys
import time

import psutil
import pytest
from conftest import eventually, open_descriptors

from spawner import ProcessSpawner, SpawnError
from spawner.interpreter import Interpreter
from spawner.start import NodeProcess


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
        assert open_descriptors().items() <= before.items()
        assert not psutil.Process().children()

    @pytest.mark.parametrize("delay", [0.0005, 0.001, 0.002, 0.004, 0.008, 0.02, 0.05])
    def test_nothing_is_left_when_starting_is_interrupted(self, delay):
        class Interrupt(BaseException):
            pass

        def interrupt(signum, frame):
            raise Interrupt

        def start():
            signal.setitimer(signal.ITIMER_REAL, delay)
            ProcessSpawner()

        ProcessSpawner().stop()
        before = open_descriptors()
        previous = signal.signal(signal.SIGALRM, interrupt)
        try:
            with pytest.raises(Interrupt):
                start()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)
        # The launcher may still be about to find that nobody wants the process.
        assert eventually(lambda: open_descriptors().items() <= before.items())
        assert eventually(lambda: not psutil.Process().children())

    def test_one_given_up_before_its_turn_is_never_started(self, monkeypatch):
        orders = []

        class Later:
            def run(self, order):
                orders.append(order)
                raise KeyboardInterrupt

        process = NodeProcess("late", "discard", None)
        with pytest.raises(KeyboardInterrupt):
            process.start(Later(), Interpreter(None, None, None), {})
        process.cancel()
        orders[0]()
        assert process.proc is None

    def test_a_long_report_with_braces_is_read_whole(self):
        with pytest.raises(SpawnError, match="while it started") as caught:
            ProcessSpawner(address="tcp://" + "}" * 300_000 + ":1")
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
