from __future__ import annotations

import pytest

from pyacq_rpc import RPCServer
from pyacq_rpc.peers.runtime import current
from pyacq_rpc.transport.keys import KEY_VARIABLE, export_key, import_key, user_key

ADDRESS = "tcp://127.0.0.1:5000"


@pytest.fixture
def path(tmp_path, monkeypatch):
    path = str(tmp_path / "key")
    monkeypatch.setenv(KEY_VARIABLE, path)
    return path


@pytest.fixture
def keys():
    return current().keys


@pytest.fixture
def exported(tmp_path):
    """Another user's, in a file."""
    theirs = str(tmp_path / "theirs")
    file = tmp_path / "laptop.key"
    file.touch(mode=0o600)
    file.write_text(export_key(theirs, "laptop"))
    return file


def test_the_user_s_key_is_for_all(keys, path):
    assert keys.for_client(ADDRESS) == keys.for_server(ADDRESS) == keys.own() == user_key(path)


def test_within_a_process_there_is_none(keys):
    assert keys.for_client("inproc://here") is None
    assert keys.for_server("inproc://here") is None


def test_one_that_is_imported_later_is_found(keys, path, exported):
    assert keys.for_client(ADDRESS) == keys.own()
    import_key(path, exported.read_text(), "127.0.0.1")
    assert keys.for_client(ADDRESS).public == user_key(str(exported)).public


def test_one_that_was_given_for_an_address_comes_first(keys, path, exported):
    keys.give(ADDRESS, exported)
    assert keys.for_client(ADDRESS) == user_key(str(exported))
    assert keys.for_client("tcp://127.0.0.1:5001") == keys.own()
    keys.forget(ADDRESS)
    assert keys.for_client(ADDRESS) == keys.own()


def test_clients_of_a_server_of_this_process_have_its_key(keys, tmp_path):
    server = RPCServer(key=tmp_path / "another")
    assert keys.for_client(server.address) == user_key(str(tmp_path / "another"))
    server.close()
    assert keys.for_client(server.address) == keys.own()


def test_an_exported_one_is_not_for_servers(exported):
    with pytest.raises(ValueError, match=r"laptop\.key was exported for clients of other servers"):
        RPCServer(key=exported)
