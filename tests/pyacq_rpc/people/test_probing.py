from __future__ import annotations

import os
import signal
import threading

import pytest
from command_line import PATIENCE, Serving
from conftest import eventually
from things import Thing

from pyacq_rpc import CallTimeout, RPCClient, RPCServer
from pyacq_rpc.people.probing import probe
from pyacq_rpc.session.policy import Trusted
from pyacq_rpc.transport.keys import KEY_VARIABLE

pytestmark = pytest.mark.timeout(120)


def test_one_that_has_nothing_to_do(server):
    server["camera"] = 1
    found = probe(server.address, 10)
    assert found[:3] == ("alive", None, None)
    assert 0 < found.latency < 10
    assert found.names == ["camera"]


def test_a_busy_one(server, client):
    server["thing"] = thing = Thing()
    future = client["thing"].wait(_sync="async")
    assert eventually(lambda: probe(server.address, 1).doing == "thing.wait", PATIENCE)
    found = probe(server.address, 10)
    assert (found.state, found.latency, found.names) == ("busy", None, ["thing"])
    thing.gate.set()
    future.result(10)


def test_one_that_gets_something_to_do_just_then(server, client, monkeypatch):
    server["thing"] = thing = Thing()
    futures = []

    def begin(*_: object) -> float:
        futures.append(client["thing"].wait(_sync="async"))
        assert eventually(lambda: client.status(10).doing == "thing.wait")
        raise CallTimeout("no answer")

    monkeypatch.setattr("pyacq_rpc.people.probing._latency", begin)
    found = probe(server.address, 10)
    assert (found.state, found.doing, found.latency) == ("busy", "thing.wait", None)
    thing.gate.set()
    assert futures[0].result(10)


def test_another_incarnation_does_not_count(server):
    assert probe(server.address, 10, server.server_id).state == "alive"
    assert probe(server.address, 10, "another one").state == "dead"


def test_nobody_is_there():
    assert probe("tcp://127.0.0.1:1", 10) == ("dead", None, None, None, None, None)


def test_one_that_closes_later(other_server):
    assert probe(other_server.address, 10).state == "alive"
    other_server.close()
    assert eventually(lambda: probe(other_server.address, 10).state == "dead")


def test_one_that_is_frozen_and_goes_on(tmp_path):
    with Serving(["lab"], tmp_path) as lab:
        assert probe(lab.address, 10).state == "alive"
        os.kill(lab.pid, signal.SIGSTOP)
        assert eventually(lambda: probe(lab.address, 0.2).state == "unresponsive")
        os.kill(lab.pid, signal.SIGCONT)
        assert eventually(lambda: probe(lab.address, 10).state == "alive")


def test_one_with_another_key(tmp_path, monkeypatch):
    with Serving(["lab"], tmp_path) as lab:
        monkeypatch.setenv(KEY_VARIABLE, str(tmp_path / "another key"))
        assert probe(lab.address, 10).state == "refused"


def test_one_that_may_not_be_asked():
    class Silent(Trusted):
        def check(self, access, *about):
            if access == "names":
                raise PermissionError("no")

    server = RPCServer(policy=Silent())
    thread = threading.Thread(target=server.run_forever)
    thread.start()
    assert RPCClient(server.address).ping() == "pong"
    found = probe(server.address, 10)
    assert (found.state, found.names) == ("alive", None)
    server.close()
    thread.join(10)
