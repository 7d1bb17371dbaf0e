"""Nodes whose main thread has an event loop."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time

import pytest
from conftest import eventually
from signalling import Signal, registered

from pyacq_rpc import AsyncClient, RemoteCallException, ServerDisconnected
from spawner import NodeTemplate, ProcessSpawner

NAPS = """
import asyncio, time
begun = []
async def nap(seconds):
    try:
        begun.append(seconds)
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        with open({path!r}, "a") as file:
            print("cancelled", seconds, file=file)
        raise
    return seconds
cleared = []
async def nap_and_clear_up():
    try:
        begun.append(60)
        await asyncio.sleep(60)
    finally:
        with open({path!r}, "a") as file:
            file.write("clearing up")
        while not cleared:
            await asyncio.sleep(0.01)
def has_begun():
    return bool(begun)
def busy(seconds):
    time.sleep(seconds)
"""

AS_IT_BEGINS = """
import asyncio, signal
from pyacq_rpc import RPCServer
from pyacq_rpc.loops.async_node import AsyncNode
node, server = AsyncNode(), RPCServer()
def now(function):
    def first(argument):
        {how}
        return function(argument)
    return first
{what} = now({what})
node.run(server)
"""


@pytest.fixture
def told(tmp_path):
    """Where its coroutines write that they were cancelled."""
    return tmp_path / "told"


@pytest.fixture
def node(tmp_path, told, monkeypatch):
    """A node that has imported coroutines."""
    (tmp_path / "naps.py").write_text(NAPS.format(path=str(told)))
    monkeypatch.syspath_prepend(tmp_path)
    with ProcessSpawner(name="naps", asyncio=True) as node:
        yield node
        node.kill()


def test_imported_coroutines_just_work(node):
    nap = node._import("naps").nap
    assert nap(0.01) == 0.01
    begin = time.monotonic()
    assert [f.result(20) for f in [nap(0.3, _sync="async") for _ in range(50)]] == [0.3] * 50
    assert time.monotonic() - begin < 10
    assert node._import("asyncio").sleep(0, "done") == "done"


def test_they_are_awaited_from_here(node):
    async def main():
        async with AsyncClient(node.address) as client:
            nap = (await client._import("naps")).nap
            assert await asyncio.gather(nap(0.1), nap(0.05)) == [0.1, 0.05]

    asyncio.run(main())


def test_stopping_waits_for_none_that_would_not_end(node, told):
    future = node._import("naps").nap(60, _sync="async")
    assert eventually(node._import("naps").has_begun)
    begin = time.monotonic()
    node.stop(timeout=4)
    assert time.monotonic() - begin < 20
    with pytest.raises(ServerDisconnected):
        future.result(10)
    assert told.read_text() == "cancelled 60\n"


def test_a_signal_ends_what_waits_and_what_runs(node, told):
    naps = node._import("naps")
    naps.nap(60, _sync="off")
    assert eventually(naps.has_begun)
    node._import("signalling").nap(60, _sync="off")
    assert eventually(lambda: node.client.status().doing == "signalling.nap")
    node.proc.send_signal(signal.SIGTERM)
    assert node.wait(20) == 128 + signal.SIGTERM
    assert told.read_text() == "cancelled 60\n"


@pytest.mark.parametrize("how", ["node.terminate(server)", "signal.raise_signal(2)"])
@pytest.mark.parametrize("what", ["asyncio.run", "node._serve"])
def test_a_signal_ends_what_is_about_to_begin(how, what):
    script = AS_IT_BEGINS.format(how=how, what=what)
    done = subprocess.run([sys.executable, "-c", script], timeout=20, stderr=subprocess.PIPE)
    assert (b"KeyboardInterrupt" in done.stderr) == ("raise" in how)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_after_a_signal_others_are_let_in_who_clear_up(node, told, number):
    """What ends may call others, which call back."""
    naps = node._import("naps")
    nap = naps.nap_and_clear_up(_sync="async")
    assert eventually(naps.has_begun)
    node.proc.send_signal(number)
    assert eventually(told.exists)
    naps.cleared.append(True)
    assert nap.exception(10)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_what_is_about_to_run(node, number):
    signalling = node._import("signalling")
    signalling.register()
    with registered():
        signalling.nap(60, Signal(number), _sync="off")
    assert node.wait(20) == (128 + number if number == signal.SIGTERM else -number)


def test_ctrl_c_ends_an_idle_one(node, told):
    node._import("naps").nap(60, _sync="off")
    assert eventually(node._import("naps").has_begun)
    node.proc.send_signal(signal.SIGINT)
    node.wait(20)
    assert told.read_text() == "cancelled 60\n"


def test_what_it_does_is_told_when_nobody_holds_that_any_more(node):
    before = node.client.server_stats(10).leases
    node._import("naps").nap(60, _sync="off")
    assert eventually(lambda: node.client.server_stats(10).in_flight == 1)
    assert eventually(lambda: node.client.server_stats(10).leases == before)
    assert node.client.status(10).doing == "naps.nap"


def test_a_sleep_is_interrupted(node):
    busy = node._import("naps").busy(60, _sync="async")
    assert eventually(lambda: node.client.status().doing == "naps.busy")
    assert node.client.interrupt()
    with pytest.raises(RemoteCallException) as caught:
        busy.result(10)
    assert caught.value.type_name == "KeyboardInterrupt"
    assert node._import("naps").nap(0.01) == 0.01


def test_a_node_has_one_event_loop():
    with pytest.raises(ValueError, match="one event loop"):
        ProcessSpawner(qt=True, asyncio=True)


def test_it_is_forked_from_a_template():
    with (
        NodeTemplate(preload=["asyncio"]) as template,
        ProcessSpawner(template=template, asyncio=True) as node,
    ):
        assert node._import("asyncio").sleep(0, "done") == "done"
