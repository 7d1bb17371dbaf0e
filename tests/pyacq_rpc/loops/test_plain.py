from __future__ import annotations

import threading

import pytest
from things import Thing

from pyacq_rpc import RPCClient, RPCServer


def test_addresses_may_be_bytes():
    server = RPCServer(b"tcp://127.0.0.1:*")
    assert server.address.startswith("tcp://127.0.0.1:")


def test_other_transports(tmp_path):
    for address in (f"ipc://{tmp_path}/socket", "inproc://thing"):
        server = RPCServer(address)
        server["thing"] = Thing()
        thread = threading.Thread(target=server.run_forever)
        thread.start()
        assert server.address == address
        client = RPCClient(address)
        thing = client["thing"]
        assert thing.add(1, 2) == 3
        assert thing.make().add(1, 2) == 3
        assert client.close_server(timeout=10)
        thread.join(10)
        assert not thread.is_alive()


def test_run_lazy_serves_while_a_client_waits(server, client):
    lazy = RPCServer()
    lazy.run_lazy()
    lazy["value"] = 5
    ask = client._import("pyacq_rpc").RPCClient
    assert ask(lazy.address)["value"] == 5


def test_a_server_knows_the_names_that_it_publishes(server, client):
    assert bool(server)
    assert ("a" in server, len(server), list(server)) == (False, 0, [])
    client["a"] = 1
    server["b"] = 2
    assert ("a" in server, 0 in server, len(server)) == (True, False, 2)
    assert list(server) == server.keys() == ["a", "b"]
    assert dict(server) == {"a": 1, "b": 2}
    del server["a"]
    assert "a" not in server


def test_a_closed_server_is_of_no_more_use():
    server = RPCServer(name="camera")
    server.close()
    with pytest.raises(RuntimeError, match=r"RPCServer camera at .* closed> publishes nothing"):
        server["a"] = 1
    with pytest.raises(RuntimeError, match=r"RPCServer camera at .* closed> cannot be run"):
        server.run_lazy()
    server.run_forever()  # returns at once: it was asked to close before


def test_a_wrong_argument_is_one_of_the_class_that_was_called():
    with pytest.raises(TypeError, match=r"^RPCServer\.__init__\(\) got an unexpected .* 'port'"):
        RPCServer(port=3)


def test_read_and_process_one_waits_no_longer_than_told():
    server = RPCServer()
    server.run_lazy()
    assert server._read_and_process_one(timeout=0.01) is False
    server.close()
    assert server._read_and_process_one(timeout=10) is False


def test_the_name_is_in_what_people_see():
    server = RPCServer(name="camera")
    assert "camera" in repr(server)
    assert server.name == "camera"
    assert RPCServer().name.startswith("server-")
