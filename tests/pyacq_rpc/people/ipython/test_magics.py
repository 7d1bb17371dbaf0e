from __future__ import annotations

import threading

import pytest
from conftest import eventually

from pyacq_rpc import RemoteCallException
from spawner import ProcessSpawner

pytestmark = pytest.mark.timeout(90)


@pytest.fixture
def worker(shell, node):
    shell.user_ns["worker"] = node
    return node


@pytest.fixture
def refused(run):
    """What a line is refused with."""
    return lambda line: str(run(line)[0].error_in_exec)


class TestSpawn:
    @pytest.fixture
    def spawned(self, shell, run):
        run("%spawn w --output capture")
        yield shell.user_ns["w"]
        shell.user_ns["w"].stop()

    def test_starts_a_node(self, spawned, run):
        assert isinstance(spawned, ProcessSpawner)
        assert spawned.name == "w"
        assert "w" in run("%nodes")[1]

    def test_starts_no_second_one(self, spawned, refused, shell):
        assert "w runs already" in refused("%spawn w")
        assert shell.user_ns["w"] is spawned

    def test_starts_it_again(self, spawned, run, shell):
        spawned.kill()
        run("%spawn w --output capture")
        assert shell.user_ns["w"] is not spawned
        assert shell.user_ns["w"].client.ping() == "pong"

    def test_in_a_directory(self, run, shell, tmp_path):
        run(f"%spawn w --output capture --cwd {tmp_path}")
        assert shell.user_ns["w"]._import("os").getcwd() == str(tmp_path)
        shell.user_ns["w"].stop()

    def test_overwrites_no_variable(self, refused, shell):
        shell.user_ns["x"] = 5
        assert "x is a variable of yours" in refused("%spawn x")
        assert "cannot be the name" in refused("%spawn a-b")


class TestRemote:
    def test_runs_a_cell(self, worker, run, shell):
        result, shown = run("%%remote worker\nimport os\nprint('hello')\nos.getpid()")
        assert repr(result.result) == str(worker.pid)
        assert "hello\n" in shown
        assert repr(run("%remote worker os.getpid() + 1")[0].result) == str(worker.pid + 1)

    def test_its_variables_can_be_used(self, worker, run):
        run("%remote worker values = [1, 2]")
        assert worker._import("__remote__").values._get_value() == [1, 2]

    def test_publishes(self, worker, run):
        run("%remote worker server['x'] = 5")
        assert worker["x"] == 5

    def test_errors_are_those_of_the_cell_alone(self, worker, run):
        result, shown = run("%%remote worker\ndef f():\n    1 / 0\nf()")
        assert isinstance(result.error_in_exec, ZeroDivisionError)
        lines = shown.splitlines()
        assert lines[0] == "Remote Traceback (most recent call last):"
        assert "    1 / 0" in lines
        assert lines[-1] == "ZeroDivisionError: division by zero"
        assert "run_cell_magic" not in shown

    def test_a_syntax_error(self, worker, run):
        result, shown = run("%%remote worker\nx = (\n")
        assert "SyntaxError: '(' was never closed" in shown
        assert "cells.py" not in shown
        assert not result.success

    def test_a_proxy_a_client_or_an_address_will_do(self, worker, run, shell):
        shell.user_ns.update(p=worker._import("os"), c=worker.client)
        for name in ("p", "c", worker.address):
            assert repr(run(f"%remote {name} 1 + 1")[0].result) == "2"

    def test_what_is_no_node(self, refused, worker):
        assert "'nothing' is no node; there are: worker" in refused("%remote nothing 1")
        assert "usage" in refused("%remote")
        assert "usage" in refused("%%remote worker x\n1")

    def test_a_node_that_is_gone(self, worker, run):
        worker.kill()
        result, shown = run("%remote worker 1")
        assert not result.success
        assert "ServerDisconnected: worker is gone" in shown
        assert "run_line_magic" not in shown

    def test_a_node_that_dies_meanwhile(self, worker, run):
        timer = threading.Timer(1.0, worker.proc.kill)
        timer.start()
        _, shown = run("%remote worker print('begun'); __import__('time').sleep(60)")
        timer.join(10)
        assert "begun" in shown
        assert "ServerDisconnected: worker" in shown

    def test_many_at_once(self, worker):
        """Each gets its own output, whoever else runs cells there."""
        seen = {}

        def send(number):
            printed = seen[number] = []
            cells = worker._import("pyacq_rpc.people.ipython.cells")
            source = f"for n in range(100): print({number})"
            cells.run(source, str(number), printed.extend, _timeout=60)

        threads = [threading.Thread(target=send, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        for number, printed in seen.items():
            assert "".join(text for _, text in printed) == f"{number}\n" * 100


class TestInterrupt:
    def test_what_a_node_does(self, worker, run):
        future = worker._import("time").sleep(60, _sync="async")
        assert eventually(lambda: worker.client.status().state == "busy")
        assert run("%interrupt worker")[1] == "Interrupted what worker did.\n"
        with pytest.raises(RemoteCallException) as caught:
            future.result(20)
        assert caught.value.type_name == "KeyboardInterrupt"

    def test_a_node_that_does_nothing(self, worker, run):
        assert "worker does nothing" in run("%interrupt worker")[1]

    def test_without_a_call(self, run):
        assert run("%interrupt")[1] == "There is no call of yours that goes on.\n"


def test_nodes_takes_no_arguments(refused):
    assert "no arguments" in refused("%nodes x")
