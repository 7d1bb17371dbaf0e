"""A program ends when its main thread has ended, whatever servers still run."""

import subprocess
import sys
import time

import pytest
from processes import ROOT

from pyacq_rpc.peers import main_thread

BEGIN = """
import sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from pyacq_rpc import RPCClient, RPCServer

def start(name):
    server = RPCServer(name=name)
    server["sleep"] = time.sleep
    server["print"] = print
    threading.Thread(target=server.run_forever).start()
    return server
"""


def run(program: str) -> subprocess.CompletedProcess[str]:
    code = BEGIN + program
    began = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=20,
    )
    assert time.monotonic() - began < 10
    return ended


ENDS = {"": 0, "raise OSError('at the end')": 1, "sys.exit(3)": 3, "sys.exit()": 0}


@pytest.mark.parametrize("used", [False, True])
@pytest.mark.parametrize("servers", [1, 3])
@pytest.mark.parametrize("end", ENDS)
def test_a_program_ends_with_its_main_thread(end, servers, used):
    program = f"servers = [start(str(n)) for n in range({servers})]\n"
    if used:
        program += "for server in servers: RPCClient(server.address)['sleep'](0)\n"
    ended = run(program + end)
    assert ended.returncode == ENDS[end], ended.stderr
    assert (
        ended.stderr.endswith("OSError: at the end\n")
        if end.startswith("raise")
        else (ended.stderr == "")
    )


def test_what_a_server_is_doing_then_is_finished():
    ended = run("""
server = start("busy")
client = RPCClient(server.address)

def work():
    started.set()
    time.sleep(1)
    print("finished")

started = threading.Event()
server["work"] = work
client["work"](_sync="off")
started.wait()
""")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "finished\n", "")


def test_a_server_that_begins_after_the_end_of_the_main_thread_closes():
    ended = run("""
def late():
    threading.main_thread().join()
    time.sleep(0.2)
    RPCServer().run_forever()
    print("closed")

threading.Thread(target=late).start()
""")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "closed\n", "")


def test_a_server_in_an_executor_does_not_keep_the_program():
    ended = run("ThreadPoolExecutor().submit(RPCServer().run_forever)\ntime.sleep(0.5)")
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_server_in_the_main_thread_is_not_concerned():
    ended = run("""
server = RPCServer()
server["print"] = print

def ask():
    client = RPCClient(server.address)
    client["print"]("served", _timeout=5)
    client.close_server(timeout=10)

threading.Thread(target=ask).start()
server.run_forever()
""")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "served\n", "")


def test_without_the_hook_of_threading_a_thread_waits():
    ended = run("del threading._register_atexit\nstart('one'); time.sleep(0.3)")
    assert (ended.returncode, ended.stderr) == (0, "")


def test_after_the_end_nothing_can_be_registered(monkeypatch):
    def refuse(hook):
        raise RuntimeError("can't register atexit after shutdown")

    monkeypatch.setattr("threading._register_atexit", refuse)
    assert not main_thread.call_at_its_end(lambda: None)
