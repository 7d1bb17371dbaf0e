from __future__ import annotations

import gc
import json
import os
import stat
import subprocess
import sys

import pytest
from conftest import eventually
from processes import ROOT, in_a_fork

from pyacq_rpc import RPCServer
from pyacq_rpc.peers.background import start_background
from pyacq_rpc.transport.listed import LISTED_VARIABLE, Listing, listed_servers
from spawner import ProcessSpawner


@pytest.fixture(autouse=True)
def directory(runtime_directory):
    """Where servers are listed; nobody else's are."""
    return runtime_directory / "pyacq-rpc"


def names():
    return [listed.name for listed in listed_servers()]


def test_a_server_is_listed_while_it_is_there():
    assert listed_servers() == []
    server = RPCServer(name="lab")
    (found,) = listed_servers()
    assert found[:4] == ("lab", server.address, os.getpid(), server.server_id)
    server.close()
    assert listed_servers() == []


def test_the_oldest_comes_first():
    servers = [RPCServer(name=name) for name in "bca"]
    assert names() == ["b", "c", "a"]
    for server in servers:
        server.close()


def test_only_its_user_can_read_the_file(directory):
    server = RPCServer()
    (path,) = directory.glob("*.json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    server.close()
    assert list(directory.iterdir()) == []


def test_one_that_is_dropped_is_listed_no_more():
    server = RPCServer()
    del server
    gc.collect()
    assert eventually(lambda: listed_servers() == [])


def test_without_the_direct_road_too(monkeypatch):
    monkeypatch.setenv("PYACQ_RPC_ROADS", "zmq")
    server = RPCServer(name="lab")
    assert names() == ["lab"]
    server.close()
    assert names() == []


class TestNotListed:
    def test_when_asked_not_to_be(self):
        server = RPCServer(listed=False)
        assert names() == []
        server.close()

    def test_when_the_environment_says_so(self, monkeypatch):
        monkeypatch.setenv(LISTED_VARIABLE, "0")
        server = RPCServer()
        assert names() == []
        server.close()

    def test_within_one_process(self):
        server = RPCServer("inproc://here")
        assert names() == []
        server.close()

    def test_the_server_for_callbacks(self):
        start_background("callbacks")
        assert names() == []

    @pytest.mark.parametrize("error", [PermissionError, FileExistsError, OSError])
    def test_where_no_file_can_be_made(self, monkeypatch, error):
        def fail(*_: object) -> int:
            raise error("no")

        with monkeypatch.context() as patch:
            patch.setattr("pyacq_rpc.transport.listed.os.open", fail)
            other = RPCServer(name="unlisted")
        assert names() == []
        other.close()

    def test_where_the_disk_is_full(self, monkeypatch, directory):
        with monkeypatch.context() as patch:
            patch.setattr("pyacq_rpc.transport.listed.os.write", lambda fd, text: 7)
            server = RPCServer()
        assert list(directory.glob("*.json")) == []
        server.close()

    def test_with_a_name_that_is_too_long(self):
        server = RPCServer(name="x" * 5000)
        assert names() == []
        server.close()

    def test_in_a_directory_that_others_can_enter(self, directory):
        directory.mkdir(mode=0o755)
        listing = Listing("lab", "tcp://127.0.0.1:1", "id")
        assert listing.path == ""
        with pytest.raises(PermissionError):
            listed_servers()


class TestEndings:
    def test_a_killed_one_is_left_out_and_swept_away(self, directory):
        with ProcessSpawner(name="camera") as node:
            assert names() == ["camera"]
            node.kill()
            assert names() == []
        assert list(directory.iterdir()) == []

    def test_the_next_server_sweeps_away_what_was_left(self, directory):
        code = "import os; from pyacq_rpc import RPCServer; s = RPCServer(); os._exit(0)"
        subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
        assert len(list(directory.glob("*.json"))) == 1
        assert names() == []
        server = RPCServer(name="next")
        assert len(list(directory.glob("*.json"))) == 1
        assert names() == ["next"]
        server.close()

    def test_a_fork_takes_nothing_away(self):
        server = RPCServer(name="parents")
        assert in_a_fork(lambda: server.close() or names()) == "['parents']"
        assert names() == ["parents"]
        server.close()

    def test_a_fork_has_its_own(self):
        server = RPCServer(name="parents")

        def child():
            own = RPCServer(name="childs")
            found = names()
            own.close()
            return [*found, *names()]

        assert in_a_fork(child) == "['parents', 'childs', 'parents']"
        server.close()


class TestOtherFiles:
    """Whatever lies there: it is left out, and nothing else happens."""

    def write(self, directory, text, **changes):
        directory.mkdir(mode=0o700, exist_ok=True)
        told = {
            "name": "x", "address": "tcp://127.0.0.1:5", "pid": 1, "server_id": "s", "since": 0,
        }  # fmt: skip
        path = directory / f"{os.getpid()}-x.json"
        path.write_bytes(json.dumps({**told, **changes}).encode() if text is None else text)
        return path

    def test_as_it_should_be(self, directory):
        self.write(directory, None)
        assert names() == ["x"]

    @pytest.mark.parametrize(
        "text", [b"", b"{", b"[]", b"null", b'{"name": "x"}', b"\xff", b"[" * 4000, b"1" * 5000]
    )
    def test_garbage(self, directory, text):
        self.write(directory, text)
        assert names() == []

    @pytest.mark.parametrize(
        "changes",
        [{"name": 1}, {"address": "nowhere"}, {"address": None}, {"pid": "1"}, {"pid": True},
         {"since": "now"}, {"server_id": []}],
        ids=str,
    )  # fmt: skip
    def test_wrong_fields(self, directory, changes):
        self.write(directory, None, **changes)
        assert names() == []

    def test_what_is_no_file(self, directory):
        path = self.write(directory, None)
        path.rename(directory / "elsewhere")
        path.symlink_to("elsewhere")
        assert names() == []
        path.unlink()
        path.mkdir()
        assert names() == []
        path.rmdir()
        os.mkfifo(path)
        assert names() == []
