"""Fixtures that own threads, processes and descriptors, and miss what leaks."""

from __future__ import annotations

import contextlib
import gc
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest
import zmq
from things import Thing

import pyacq_rpc
from pyacq_rpc import RPCClient, RPCServer
from pyacq_rpc.peers import runtime
from pyacq_rpc.peers.runtime import current
from pyacq_rpc.transport.keys import KEY_VARIABLE, be_client, key_path, user_key

# In the environment, since nodes and other programs that the tests start need it too.
_keys = tempfile.TemporaryDirectory(prefix="pyacq-rpc-test-key-")
os.environ[KEY_VARIABLE] = os.path.join(_keys.name, "key")


collect_ignore = ["fuzz/guided.py"]  # needs atheris, which is installed by hand


def eventually(condition: Callable[[], object], timeout: float = 10.0) -> bool:
    """Wait for a condition; for what another thread or process is about to do."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def with_key(socket: zmq.Socket[Any]) -> zmq.Socket[Any]:
    """Let a plain socket connect to servers of this user."""
    be_client(socket, user_key(key_path()))
    return socket


def open_descriptors() -> dict[int, str]:
    """What each descriptor of this process is."""
    found = {}
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the one that listed them
            found[int(fd)] = os.readlink(f"/proc/self/fd/{fd}")
    return found


def settled(client: RPCClient) -> bool:
    """Wait until a client and its server have opened all that they open."""
    direct = current().direct
    return eventually(lambda: client.ping() == "pong" and (client.channel.signals() or not direct))


@pytest.fixture(autouse=True, scope="session")
def pyzmq_collector() -> None:
    """Start what pyzmq keeps for zero-copy sends, so that it does not seem to leak."""
    with zmq.Context() as context, context.socket(zmq.PAIR) as one, context.socket(zmq.PAIR) as two:
        one.bind("inproc://warm-up")
        two.connect("inproc://warm-up")
        two.send(bytes(1_000_000), copy=False)
        one.recv()


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """Fail the test that leaves a thread, a child process or a descriptor."""
    threads = set(threading.enumerate())
    descriptors = open_descriptors()
    children = {child.pid for child in psutil.Process().children(recursive=True)}
    yield
    used = runtime._current is not None
    pyacq_rpc.reset()

    def new_threads() -> list[threading.Thread]:
        return list(set(threading.enumerate()) - threads)

    def new_descriptors() -> list[str]:
        return [what for fd, what in open_descriptors().items() if descriptors.get(fd) != what]

    def new_children() -> list[str]:
        now = psutil.Process().children(recursive=True)
        return [str(child) for child in now if child.pid not in children]

    if used or new_threads() or new_descriptors():
        gc.collect()
    for what in (new_threads, new_descriptors, new_children):
        assert eventually(lambda what=what: not what(), 5.0), f"left behind: {what()}"


@pytest.fixture
def server() -> Iterator[RPCServer]:
    """A server that runs in a thread of its own."""
    server = RPCServer(name="under-test")
    thread = threading.Thread(target=server.run_forever, name="server under test")
    thread.start()
    yield server
    server.close()
    thread.join(10)
    assert not thread.is_alive()


@pytest.fixture
def client(server: RPCServer) -> RPCClient:
    """The test's client of `server`."""
    client = RPCClient.get_client(server.address)
    assert client is not None
    return client


@pytest.fixture
def thing(server: RPCServer, client: RPCClient) -> Any:
    """A proxy of a thing that `server` publishes."""
    server["thing"] = Thing()
    return client["thing"]


@pytest.fixture
def other_server() -> Iterator[RPCServer]:
    """Another server, in another thread."""
    server = RPCServer(name="other")
    thread = threading.Thread(target=server.run_forever, name="other server")
    thread.start()
    yield server
    server.close()
    thread.join(10)


@pytest.fixture
def other_thing(other_server: RPCServer) -> Any:
    """A proxy of a thing that `other_server` publishes."""
    other_server["thing"] = Thing()
    return RPCClient(other_server.address)["thing"]


@pytest.fixture(autouse=True)
def doctest_names(doctest_namespace: dict[str, object]) -> None:
    """What the examples in docstrings may use without importing it."""
    from pyacq_rpc.peers.background import start_background
    from spawner.logs import LogSender, LogServer

    doctest_namespace.update({name: getattr(pyacq_rpc, name) for name in pyacq_rpc.__all__})
    doctest_namespace.update(
        start_background=start_background, LogSender=LogSender, LogServer=LogServer
    )
