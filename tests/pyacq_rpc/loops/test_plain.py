from __future__ import annotations

import threading

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
        assert client.close_server()
        thread.join(10)
        assert not thread.is_alive()


def test_run_lazy_serves_while_a_client_waits(server, client):
    lazy = RPCServer()
    lazy.run_lazy()
    lazy["value"] = 5
    ask = client._import("pyacq_rpc").RPCClient
    assert ask(lazy.address)["value"] == 5


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
