"""Who was let in by an exported key is sent away when that is revoked."""

from __future__ import annotations

import contextlib
import os
import threading

import pytest
import zmq
from conftest import eventually, settled
from things import Thing

import pyacq_rpc
from pyacq_rpc import AuthenticationError, RPCClient, RPCServer, ServerDisconnected
from pyacq_rpc.transport.keys import be_client, export_key, load_key, revoke_key

SENT_AWAY = "your key does not let you in any more"


@pytest.fixture(params=["all", "zmq"], ids=["direct road", "zmq"])
def road(request, monkeypatch):
    pyacq_rpc.reset()
    if request.param == "zmq":
        monkeypatch.setenv("PYACQ_RPC_ROADS", "zmq")


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "lab.key")


@pytest.fixture
def lab(road, path):
    """A server with a key of its own, and a thing."""
    server = RPCServer(key=path)
    server["thing"] = Thing()
    thread = threading.Thread(target=server.run_forever)
    thread.start()
    yield server
    server.close()
    thread.join(10)


@pytest.fixture
def connect(lab, path, tmp_path):
    """Connects with a key that is exported for that; the server is in the same process."""

    def connect(name):
        file = tmp_path / f"{name}.key"
        file.touch(mode=0o600)
        file.write_text(export_key(path, name))
        client = RPCClient(lab.address, key=file)
        assert settled(client)
        return client

    return connect


def test_at_its_next_message(lab, connect, path):
    thing = connect("laptop")["thing"]
    thing.note(1)
    revoke_key(path, "laptop")
    with pytest.raises(ServerDisconnected, match=SENT_AWAY):
        thing.note(2)
    assert lab["thing"].log == [1]
    assert eventually(lambda: not len(lab.listener.connections))


def test_what_is_urgent_is_refused_too(lab, connect, path):
    first, second = connect("laptop"), RPCClient(lab.address)
    assert settled(second)
    assert first.status(10).state == second.status(10).state == "alive"
    revoke_key(path, "laptop")
    with pytest.raises(ServerDisconnected, match=SENT_AWAY):
        first.interrupt(10)
    assert second.status(10).state == "dead"


def test_all_that_is_on_its_way_is_told_why(lab, connect, path):
    begun, gate = threading.Event(), threading.Event()

    def hold():
        begun.set()
        return gate.wait(10)

    lab["hold"] = hold
    client = connect("laptop")
    thing = client["thing"]
    waiting = client["hold"](_sync="async")
    assert begun.wait(10)
    revoke_key(path, "laptop")
    futures = [thing.note(number, _sync="async") for number in range(20)]
    gate.set()
    assert waiting.result(10) is True  # it had begun
    for future in futures:
        with pytest.raises(ServerDisconnected, match=SENT_AWAY):
            future.result(10)
    assert lab["thing"].log == []


def test_it_is_not_let_in_again(lab, connect, path):
    client = connect("laptop")
    revoke_key(path, "laptop")
    with pytest.raises(ServerDisconnected, match=SENT_AWAY):
        client.ping()
    with pytest.raises(AuthenticationError, match="does not admit your key"):
        RPCClient(lab.address).ping()


def test_what_it_held_is_let_go(lab, connect, path):
    client = connect("laptop")
    made = client["thing"].make()
    assert len(lab.table) > 0
    revoke_key(path, "laptop")
    with pytest.raises(ServerDisconnected):
        made.add(1, 2)
    assert eventually(lambda: not len(lab.table))


def test_others_stay(lab, connect, path):
    desk = connect("desk")
    laptop = connect("laptop")
    revoke_key(path, "laptop")
    with pytest.raises(ServerDisconnected, match=SENT_AWAY):
        laptop.ping()
    assert desk.ping() == "pong"
    own = RPCClient(lab.address, key=path)
    assert own.ping() == "pong"
    assert {connection.guest is None for connection in lab.listener.connections.all()} == {
        True,
        False,
    }


def test_when_others_may_have_added_keys_nobody_stays_by_one(lab, connect, path, caplog):
    client = connect("laptop")
    folder = f"{path}.admitted"
    os.rename(f"{folder}/laptop", f"{folder}/smuggled")
    os.chmod(folder, 0o777)
    with pytest.raises(ServerDisconnected, match=SENT_AWAY):
        client.ping()
    assert "others can write to" in caplog.text
    assert RPCClient(lab.address, key=path).ping() == "pong"


def test_a_program_that_stays_all_the_same_is_refused(lab, path, tmp_path):
    """The connection of zmq is open still, and nothing keeps it from saying hello again."""
    file = tmp_path / "laptop.key"
    file.touch(mode=0o600)
    file.write_text(export_key(path, "laptop"))
    with zmq.Context() as context, contextlib.closing(context.socket(zmq.DEALER)) as stayer:
        stayer.linger = 0
        be_client(stayer, load_key(str(file)))
        stayer.connect(lab.address)
        hello = b'[0,1,"stayer",{}]'
        request = b'[2,1,"get_item","auto",{"name":"thing"}]'

        def ask(message):
            stayer.send(message)
            assert stayer.poll(10_000)
            return stayer.recv()

        assert ask(hello).startswith(b"[1,")
        assert ask(request).startswith(b"[3,1,")
        revoke_key(path, "laptop")
        assert SENT_AWAY.encode() in ask(request)
        assert SENT_AWAY.encode() in ask(hello)
        assert SENT_AWAY.encode() in ask(request)
    assert not len(lab.listener.connections)
