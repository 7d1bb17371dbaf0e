"""Fixtures that own threads, processes and descriptors, and miss what leaks."""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import gc
import os
import random
import socket
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import patience
import psutil
import pytest
import zmq
from hypothesis import HealthCheck, Phase, settings
from observing import Recorder
from things import Thing

import pyacq_rpc
from pyacq_rpc import RPCClient, RPCServer, add_hook
from pyacq_rpc.peers import runtime
from pyacq_rpc.peers.runtime import current
from pyacq_rpc.transport.keys import KEY_VARIABLE, be_client, key_path, user_key

# In the environment, since nodes and other programs that the tests start need it too.
_keys = tempfile.TemporaryDirectory(prefix="pyacq-rpc-test-key-")
atexit.register(_keys.cleanup)
os.environ[KEY_VARIABLE] = os.path.join(_keys.name, "key")


def pytest_xdist_auto_num_workers() -> int:
    """Two for each core: much of what is tested here is waiting."""
    return 2 * (len(psutil.Process().cpu_affinity()) if psutil.LINUX else psutil.cpu_count())


# For the tests with Qt: no windows, and the binding that is the default.
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("QT_API", "pyqt5")

settings.register_profile(
    "shared",
    # What takes long is the machine that others are busy on, too.
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    # To make smaller what it has found may take until the test is cut, which then does not show
    # it. `--hypothesis-profile=default` does so all the same.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    print_blob=True,
)
settings.load_profile("shared")

collect_ignore = ["fuzz/guided.py"]  # needs atheris, which is installed by hand


def pytest_collection_finish() -> None:
    """Leave what pytest has made of all tests out of the collections that the tests ask for."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(trylast=True)  # when the fixtures have ended
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Do the same with what the tests of a module have imported."""
    if nextitem is not None and nextitem.path != item.path:
        gc.collect()
        gc.freeze()


IN_VAIN = 5.0
"""Seconds after which whatever did not happen should have."""


def eventually(condition: Callable[[], object], timeout: float = 10.0) -> bool:
    """Wait for a condition; for what another thread or process is about to do.

    If it waits in vain for long, it shows what all threads are at: the next chance to see that
    may be far off.
    """
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            if timeout >= IN_VAIN:
                faulthandler.dump_traceback(2)
            return False
        time.sleep(0.005)
    return True


def fixed_address() -> str:
    """Return an address where several servers may listen one after the other.

    While none does, its port goes to nobody who asks for any, as those do that others leave.
    """
    while True:
        port = random.randrange(20_000, 32_000)  # systems give those beyond
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return f"tcp://127.0.0.1:{port}"


def collected(*references: weakref.ref[Any]) -> bool:
    """Wait until they have died; what a thread just has in hand survives a collection."""
    return eventually(lambda: gc.collect() >= 0 and all(seen() is None for seen in references))


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


def painters() -> list[str]:
    """The descriptors of the threads with which Qt 6 paints, and which it keeps for 30 s."""
    found = []
    for task in os.listdir("/proc/self/task"):
        with contextlib.suppress(OSError), open(f"/proc/self/task/{task}/comm") as file:
            if file.read().strip() == "Thread (pooled)":
                found.append("anon_inode:[eventfd]")
    return found


def pythons_threads() -> list[threading.Thread]:
    """The threads of this process, but for Qt's, which Python never forgets before 3.13."""
    return [t for t in threading.enumerate() if not isinstance(t, threading._DummyThread)]


def settled(client: RPCClient) -> bool:
    """Wait until a client and its server have opened all that they open."""
    direct = current().direct
    return eventually(lambda: client.ping() == "pong" and (client.channel.signals() or not direct))


def start_pyzmq_collector() -> None:
    """Start what pyzmq keeps for zero-copy sends, so that it does not seem to leak."""
    with zmq.Context() as context, context.socket(zmq.PAIR) as one, context.socket(zmq.PAIR) as two:
        one.bind("inproc://warm-up")
        two.connect("inproc://warm-up")
        two.send(bytes(1_000_000), copy=False)
        one.recv()


@pytest.fixture(autouse=True, scope="session")
def pyzmq_collector() -> None:
    """Start it before any test looks."""
    start_pyzmq_collector()


@pytest.fixture
def app() -> Iterator[Any]:
    """The one application that a process may have; widgets end in its thread."""
    from qtpy import QtWidgets

    app = QtWidgets.QApplication.instance() or QtWidgets.QApplication(["tests"])
    app.setQuitOnLastWindowClosed(False)
    gc.disable()
    yield app
    gc.collect()
    gc.enable()


@pytest.fixture(autouse=True)
def nothing_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail the test that leaves a thread, a child process or a descriptor."""
    is_marked = request.node.get_closest_marker("qt") is not None
    if is_marked or "qt" in request.path.parts or "app" in request.fixturenames:
        request.getfixturevalue("app")  # before we look: it stays
    threads = set(pythons_threads())
    descriptors = open_descriptors()
    children = {child.pid for child in psutil.Process().children(recursive=True)}
    yield
    used = runtime._current is not None
    pyacq_rpc.reset()

    def new_threads() -> list[threading.Thread]:
        return list(set(pythons_threads()) - threads)

    def new_descriptors() -> list[str]:
        found = [what for fd, what in open_descriptors().items() if descriptors.get(fd) != what]
        for what in painters():
            if what in found:
                found.remove(what)
        return found

    def new_children() -> list[str]:
        now = psutil.Process().children(recursive=True)
        return [str(child) for child in now if child.pid not in children]

    if used or new_threads() or new_descriptors():
        gc.collect()
    for what in (new_threads, new_descriptors, new_children):
        assert eventually(lambda what=what: not what(), 5.0), f"left behind: {what()}"


@pytest.fixture
def runtime_directory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The test's own directory for sockets and for what lists servers, with a short name."""
    with tempfile.TemporaryDirectory(prefix="pyacq-rpc-test-") as directory:
        monkeypatch.setenv("XDG_RUNTIME_DIR", directory)
        yield Path(directory)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Completions and help that wait for answers on a machine that does much else."""
    monkeypatch.setattr("pyacq_rpc.session.questions.PATIENCE", patience.SECONDS)
    monkeypatch.setattr("pyacq_rpc.people.ipython.inspecting.PATIENCE", patience.SECONDS)


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Items that are iterated over go together, however slowly the machine produces them."""
    monkeypatch.setattr("pyacq_rpc.peers.chunking.LONGEST", 60.0)


@contextlib.contextmanager
def serving(address: str = "tcp://127.0.0.1:*") -> Iterator[RPCServer]:
    """Let a server run in a thread of its own until the block ends or it is closed."""
    server = RPCServer(address, name="under-test")
    thread = threading.Thread(target=server.run_forever, name="server under test")
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join(10)
    assert not thread.is_alive()


@pytest.fixture
def server() -> Iterator[RPCServer]:
    """A server that runs in a thread of its own."""
    with serving() as server:
        yield server


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


@pytest.fixture
def going_out() -> Iterator[Recorder]:
    """What goes out of this process."""
    recorder = Recorder()
    with add_hook(outgoing=recorder):
        yield recorder


@pytest.fixture
def coming_in() -> Iterator[Recorder]:
    """What comes into the servers of this process."""
    recorder = Recorder()
    with add_hook(incoming=recorder):
        yield recorder


@pytest.fixture(autouse=True)
def doctest_names(doctest_namespace: dict[str, object]) -> None:
    """What the examples in docstrings may use without importing it."""
    from pyacq_rpc.peers.background import start_background
    from pyacq_rpc.transport.listed import listed_servers
    from spawner.logs import LogSender, LogServer

    names = [name for name in pyacq_rpc.__all__ if name != "QtRPCServer"]  # without Qt
    doctest_namespace.update({name: getattr(pyacq_rpc, name) for name in names})
    doctest_namespace.update(
        start_background=start_background,
        LogSender=LogSender,
        LogServer=LogServer,
        listed_servers=listed_servers,
    )
