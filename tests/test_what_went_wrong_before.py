"""One test for each failure that was met in an ancestor of this project."""

from __future__ import annotations

import concurrent.futures
import copy
import datetime
import gc
import os
import subprocess
import sys
import threading
import time
import zoneinfo
from pathlib import Path

import numpy as np
import psutil
import pytest
import zmq
from conftest import eventually, fixed_address, open_descriptors, settled, with_key

from pyacq_rpc import ObjectProxy, RPCClient, RPCServer
from spawner import ProcessSpawner


@pytest.mark.parametrize("frame", [b"garbage", b"\x93\x02\x01", b"\x80pickle", b"{}", b""])
def test_one_malformed_message_or_an_unknown_serializer_ends_the_server(server, client, frame):
    with zmq.Context() as context, with_key(context.socket(zmq.DEALER)) as stranger:
        stranger.linger = 0
        stranger.connect(server.address)
        stranger.send(frame)
        assert stranger.poll(10_000)
    assert client.ping() == "pong"


def test_child_outlives_a_killed_parent():
    code = (
        "import time; from spawner import ProcessSpawner;"
        "print(ProcessSpawner().pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=Path(__file__).parents[1]
    )
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert eventually(lambda: not psutil.pid_exists(pid), 5.0)


def test_stop_on_a_busy_child_times_out_and_leaves_it_running():
    node = ProcessSpawner()
    node._import("time").sleep(60, _sync="off")
    node.stop(timeout=1.0)
    assert not psutil.pid_exists(node.pid)


def test_undecodable_child_output_wedges_the_child():
    with ProcessSpawner(output="capture") as node:
        for _ in range(50):
            node._import("os").write(1, b"\xff\xfe\x00" * 20_000)
        assert node.client.ping() == "pong"


def test_respawn_at_the_same_address_fails():
    address = fixed_address()
    with ProcessSpawner(address=address) as node:
        node.kill()
    with ProcessSpawner(address=address) as node:
        assert node.client.ping() == "pong"


def test_a_client_that_connects_while_the_server_is_busy_times_out(server, thing):
    busy = thing.sleep(1.5, _sync="async")
    answers = []
    thread = threading.Thread(target=lambda: answers.append(RPCClient(server.address).ping()))
    thread.start()
    thread.join(20)
    assert answers == ["pong"]
    assert busy.result() == 1.5


def test_two_clients_with_equal_names_shut_each_other_out(server):
    first, second = RPCClient(server.address), RPCClient(server.address)
    assert [first.ping(), second.ping(), first.ping(), second.ping()] == ["pong"] * 4


def test_attribute_proxies_release_their_parents_reference(thing):
    made = thing.make()
    for _ in range(10):
        made.add, made.log.append  # noqa: B018  # made and dropped at once
    gc.collect()
    assert made.add(1, 2) == 3


def test_dropped_proxies_leak(server, thing):
    for _ in range(100):
        thing.make()
    assert eventually(lambda: len(server.table) == 1)


def test_a_sub_second_timeout_spins_a_core(server, thing):
    before = time.thread_time()
    with pytest.raises(TimeoutError):
        thing.wait(_timeout=0.6)
    assert time.thread_time() - before < 0.2
    server["thing"].gate.set()


def test_short_lived_threads_leak_clients_and_descriptors(server, client, thing):
    assert settled(client)
    before = len(open_descriptors())
    for _ in range(50):
        thread = threading.Thread(target=lambda: RPCClient(server.address).ping())
        thread.start()
        thread.join()
    assert eventually(lambda: len(open_descriptors()) <= before)
    assert eventually(lambda: len(server.listener.connections) == 1)


def test_close_before_running_hangs():
    server = RPCServer()
    server.close()
    thread = threading.Thread(target=server.run_forever)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()


def test_iteration_membership_int_keys_time_zones_and_sets_break(client, thing):
    assert [x for x in client.transfer([1, 2])] == [1, 2]  # noqa: C416  # the loop is the point
    assert 2 in client.transfer([1, 2])
    berlin = datetime.datetime(2026, 1, 2, 3, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"))
    for value in ({1: 2, (3, 4): 5}, {1, 2}, berlin, datetime.datetime.now(datetime.timezone.utc)):
        back = thing.echo(value)
        assert back == value
        assert type(back) is type(value)
    assert thing.echo(berlin).tzinfo is berlin.tzinfo


def test_decoded_arrays_are_read_only(thing):
    for size in (1, 100_000):
        back = thing.echo(np.zeros(size))
        back[0] = 1
        assert back[0] == 1


def test_reflected_xor_calls_the_wrong_method(client):
    assert 6 ^ client.transfer(3) == 6 ^ 3


def test_wait_for_futures_never_returns(thing):
    futures = [thing.add(n, n, _sync="async") for n in range(10)]
    assert len(concurrent.futures.wait(futures, timeout=10).done) == 10


def test_hasattr_is_always_true(thing):
    assert not hasattr(thing, "no_such_attribute")


def test_tab_shows_nothing(thing):
    assert {"add", "echo", "log", "value"} <= set(dir(thing))


def test_copy_recurses_for_ever(thing):
    assert isinstance(copy.copy(thing), ObjectProxy)
    assert isinstance(copy.deepcopy({"a": thing})["a"], ObjectProxy)


def test_qt_must_be_installed_where_it_is_not_used():
    code = "import sys, pyacq_rpc, spawner; print([m for m in sys.modules if 'qt' in m.lower()])"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[1]
    )
    assert run.stdout.strip() == "[]"


def test_several_atexit_hooks_fight_each_other():
    code = (
        "import atexit, logging, pyacq_rpc, spawner; print(atexit._ncallbacks());"
        "n = spawner.ProcessSpawner(); l = spawner.start_log_server();"
        "s = pyacq_rpc.RPCServer(); s.run_lazy(); n.client.ping();"
        "print(atexit._ncallbacks())"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[1]
    )
    assert run.stderr == ""
    before, after = run.stdout.split()
    assert before == after
    assert run.returncode == 0


def test_a_forked_child_uses_the_sockets_of_its_parent(thing):
    assert thing.add(1, 2) == 3
    code = (
        "import os, sys, warnings; warnings.simplefilter('ignore')\n"
        "from pyacq_rpc import RPCClient\n"
        "client = RPCClient(sys.argv[1]); client.ping()\n"
        "pid = os.fork()\n"
        "answer = RPCClient.get_client(sys.argv[1]).ping()\n"
        "if pid: os.waitpid(pid, 0)\n"
        "print(answer)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, thing._rpc_addr],
        capture_output=True,
        text=True,
        timeout=20,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert (run.stdout.split(), run.stderr) == (["pong", "pong"], "")
