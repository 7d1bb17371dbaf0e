"""Ctrl-C ends a wait at once, wherever it meets it, and spoils nothing that follows."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import eventually
from things import Thing

from pyacq_rpc.peers.runtime import current

ROOT = Path(__file__).parents[3]

UNDER_FIRE = """
import random, signal, sys, threading, time
from pyacq_rpc import RPCClient

interrupted = number = 0
armed = False

def interrupt(signum, frame):
    global armed, interrupted
    if armed:  # else it would meet what catches it
        armed = False
        interrupted += 1
        raise KeyboardInterrupt

signal.signal(signal.SIGINT, interrupt)
client = RPCClient(sys.argv[1])
thing = client["thing"]

def fire():
    for _ in range(400):
        time.sleep(random.uniform(0, 0.003))
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

thread = threading.Thread(target=fire)
thread.start()
while thread.is_alive():
    number += 1
    try:
        armed = True
        assert thing.add(number, 1) == number + 1
        future = thing.add(number, 2, _sync="async")
        thing.add(0, 0, _sync="off")
        assert future.result() == number + 2
        armed = False
    except KeyboardInterrupt:
        pass
print(interrupted > 0, client.ping(), client.has_pending())
"""

WAIT = """
import signal, sys
from pyacq_rpc import RPCClient

signal.signal(signal.SIGINT, signal.default_int_handler)
thing = RPCClient(sys.argv[1])["thing"]
print("waiting", flush=True)
try:
    thing.wait(_timeout=None)
except KeyboardInterrupt:
    print("interrupted", flush=True)
sys.stdin.readline()
print(thing.add(1, 2), flush=True)
"""


def under_fire(address, roads):
    return subprocess.run(
        [sys.executable, "-c", UNDER_FIRE, address],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYACQ_RPC_ROADS": roads},
    )


@pytest.mark.skipif(not hasattr(os, "kill") or os.name == "nt", reason="needs signals")
class TestCtrlC:
    def test_each_call_gets_its_own_answer(self, server):
        if not current().direct:
            pytest.skip("see below")
        server["thing"] = Thing()
        run = under_fire(server.address, "all")
        assert run.stdout == "True pong False\n", run.stderr
        assert run.stderr == ""

    def test_over_zmq_too(self, server):
        """But pyzmq runs signal handlers after it has taken a message, which is lost then."""
        server["thing"] = Thing()
        run = under_fire(server.address, "zmq")
        assert run.stdout.startswith("True pong"), run.stderr

    def test_it_ends_the_wait_and_not_the_call(self, server):
        thing = server["thing"] = Thing()
        with subprocess.Popen(
            [sys.executable, "-c", WAIT, server.address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        ) as process:
            assert process.stdout.readline() == "waiting\n"
            assert eventually(lambda: server.status()["doing"] == "thing.wait")
            process.send_signal(2)
            assert process.stdout.readline() == "interrupted\n"
            thing.gate.set()
            out, _ = process.communicate("\n", timeout=20)
            assert out == "3\n"
