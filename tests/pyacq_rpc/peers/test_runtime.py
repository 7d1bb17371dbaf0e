from __future__ import annotations

import os
import threading

import pytest
from conftest import eventually, open_descriptors, settled
from things import Thing

import pyacq_rpc
from pyacq_rpc import RPCClient, RPCServer, ServerDisconnected
from pyacq_rpc.peers.background import start_background


def test_a_thousand_short_threads_leave_no_descriptor(server, client):
    server["thing"] = Thing()
    assert settled(client)
    before = len(open_descriptors())
    answers = []

    def work():
        thing = RPCClient.get_client(server.address)["thing"]
        answers.append(thing.add(1, 2))
        thing.note(1, _sync="off")

    for _ in range(100):
        threads = [threading.Thread(target=work) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == [3] * 1000
    assert eventually(lambda: len(open_descriptors()) <= before + 2)
    assert eventually(lambda: len(server["thing"].log) == 1000)
    assert eventually(lambda: len(server.listener.connections) == 1)


def test_a_future_outlives_its_thread(server, client):
    server["thing"] = Thing()
    futures = []

    def work():
        futures.append(RPCClient.get_client(server.address)["thing"].sleep(0.2, _sync="async"))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert futures[0].result(10) == 0.2
    assert eventually(lambda: len(server.listener.connections) <= 1)


def test_proxies_work_from_any_thread(server, client):
    server["thing"] = Thing()
    thing = client["thing"]
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(thing.add(1, 2))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [3] * 8


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_the_child_of_a_fork_begins_anew(server, client):
    server["thing"] = Thing()
    thing = client["thing"]
    assert thing.add(1, 2) == 3
    other = start_background("other")
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            answer = b"%d" % thing.add(3, 4)
            RPCClient.get_client(other.address)["handed"] = thing
            try:
                client.ping()
            except ServerDisconnected:
                answer += b" refused"
            os.write(write, answer)
        finally:
            os._exit(0)
    os.close(write)
    assert os.read(read, 100) == b"7 refused"
    os.close(read)
    os.waitpid(pid, 0)
    assert thing.add(1, 2) == 3
    assert RPCClient(other.address)["handed"].add(1, 2) == 3


def test_reset_closes_everything(server):
    client = RPCClient(server.address)
    lazy = RPCServer()
    lazy.run_lazy()
    pyacq_rpc.reset()
    assert client.disconnected()
    assert not lazy.running()
    assert RPCServer.get_server() is None


def test_a_runtime_has_one_attachment_of_a_kind():
    from pyacq_rpc.peers.runtime import current

    class Kind:
        def __init__(self, runtime):
            self.runtime = runtime

    assert current().attachment(Kind) is current().attachment(Kind)
    old = current().attachment(Kind)
    pyacq_rpc.reset()
    assert current().attachment(Kind) is not old


def test_a_thread_that_ends_while_all_is_being_closed(monkeypatch):
    """Its descriptor is given back; the fixture would miss it."""
    runtime = pyacq_rpc.peers.runtime.current()
    ending = threading.Event()

    def work():
        runtime.thread()
        ending.wait()

    thread = threading.Thread(target=work)
    thread.start()
    end_context = runtime._end_context

    def end_thread_first():
        ending.set()
        thread.join()
        end_context()

    monkeypatch.setattr(runtime, "_end_context", end_thread_first)
    pyacq_rpc.reset()


def test_at_exit_nothing_is_opened_any_more():
    runtime = pyacq_rpc.peers.runtime.current()
    RPCClient("tcp://127.0.0.1:9").close()
    runtime.close()
    with pytest.raises(ServerDisconnected, match="is ending"):
        RPCClient("tcp://127.0.0.1:9")
    with pytest.raises(ServerDisconnected, match="is ending"):
        RPCServer()
    pyacq_rpc.reset()


def test_at_exit_what_is_being_opened_is_closed_when_that_is_done():
    runtime = pyacq_rpc.peers.runtime.current()
    client = RPCClient("tcp://127.0.0.1:9")
    with runtime.opening() as context:
        closing = threading.Thread(target=runtime.close)
        closing.start()
        closing.join(0.2)
        assert closing.is_alive()
        assert not context.closed
    closing.join()
    assert client.closed()
    assert context.closed
    pyacq_rpc.reset()
