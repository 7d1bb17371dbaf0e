"""Several machines: who reaches whom, with which key, and what can be seen on the way."""

from __future__ import annotations

import contextlib
import shutil
import time

import numpy as np
import pytest
from conftest import eventually
from hosts import Network, Raised, why_not

SERVER = """
import sys, threading, time
sys.path.insert(0, "tests")
from pyacq_rpc import *
from things import Thing
server = RPCServer({address!r}, name="lab")
server["thing"] = Thing()
threading.Thread(target=server.run_forever, daemon=True).start()
"""

CLIENT = """
import sys, time
sys.path.insert(0, "tests")
from pyacq_rpc import *
from things import Thing
client = RPCClient({address!r})
"""

NOTICED = 7.0
"""Seconds within which a cut cable has to be noticed: the 5 that are promised, of which
heartbeats take 4.5 at most, and 2 for a busy machine."""


@pytest.fixture(scope="module")
def network():
    reason = why_not()
    if reason:
        pytest.skip(reason)
    network = Network("lab", "laptop", "desk")
    yield network
    network.close()


@pytest.fixture
def hosts(network, tmp_path):
    network.begin(tmp_path)
    yield network
    network.end()


@pytest.fixture
def lab(hosts):
    return hosts.hosts["lab"]


@pytest.fixture
def laptop(hosts):
    return hosts.hosts["laptop"]


@pytest.fixture
def desk(hosts):
    return hosts.hosts["desk"]


def serve(host, address="tcp://0.0.0.0:*"):
    """A program with a server on a host, and where others reach it."""
    program = host.start(SERVER.format(address=address))
    port = program.get("server.address").rpartition(":")[2]
    return program, f"tcp://{host.address}:{port}"


def connect(host, address):
    """A program with a client on a host."""
    return host.start(CLIENT.format(address=address))


@contextlib.contextmanager
def fails(*words):
    """What is done within on a host has to raise something with these words, and at once.

    A call that hears nothing fails too, but takes its timeout of 10 s for that.
    """
    caught = Raised({"error": "", "seconds": 0.0, "at": 0.0})
    with pytest.raises(Raised) as info:
        yield caught
    caught.at = info.value.at
    assert [word for word in words if word not in str(info.value)] == [], str(info.value)
    assert info.value.seconds < 9


class TestKeys:
    def test_who_has_a_key_from_there_calls_by_address(self, lab, laptop):
        lab.trust(laptop)
        _, address = serve(lab)
        client = connect(laptop, address)
        assert client.get("client['thing'].add(1, 2)") == 3
        client.do("import numpy as np; array = np.arange(100_000)")
        assert client.get("bool((client['thing'].echo(array) == array).all())")

    @pytest.mark.parametrize(
        "connect",
        [
            "client = RPCClient({address!r}, key='~/a.key')",
            "import os; os.environ['PYACQ_RPC_KEY'] = '~/a.key'; client = RPCClient({address!r})",
        ],
        ids=["by argument", "by environment"],
    )
    def test_who_has_it_in_a_file_need_not_import_it(self, lab, laptop, connect):
        shutil.move(lab.export("laptop"), laptop.files / "a.key")
        _, address = serve(lab)
        client = laptop.start(f"from pyacq_rpc import *; {connect.format(address=address)}")
        assert client.get("client['thing'].add(1, 2)") == 3
        assert not (laptop.files / ".config" / "pyacq-rpc" / "hosts").exists()

    def test_who_has_none_is_refused_and_told_why(self, lab, laptop):
        _, address = serve(lab)
        with fails("AuthenticationError", "pyacq-rpc key --help"):
            connect(laptop, address).do("client.ping()")

    def test_who_has_another_host_s_is_refused_and_told_why(self, lab, laptop, desk):
        desk.trust(laptop, at=lab.address)
        _, address = serve(lab)
        with fails("AuthenticationError", "has another key than you"):
            connect(laptop, address).do("client.ping()")

    def test_who_has_one_that_was_revoked_is_refused_and_told_why(self, lab, laptop):
        lab.key("revoke", lab.trust(laptop))
        _, address = serve(lab)
        with fails("AuthenticationError", "does not admit your key"):
            connect(laptop, address).do("client.ping()")

    def test_who_is_connected_when_it_is_revoked_is_sent_away(self, lab, laptop):
        name = lab.trust(laptop)
        server, address = serve(lab)
        client = connect(laptop, address)
        client.do("thing = client['thing']; thing.note(1)")
        lab.key("revoke", name)
        with fails("ServerDisconnected", "your key does not let you in"):
            client.do("thing.note(2)")
        assert server.get("server['thing'].log") == [1]
        assert eventually(lambda: server.get("len(server.listener.connections)") == 0)
        with fails("AuthenticationError"):
            client.do("RPCClient(client.address).ping()")

    def test_nodes_let_in_whom_their_user_does(self, lab, laptop):
        lab.trust(laptop)
        parent = lab.start(
            "from spawner import ProcessSpawner; node = ProcessSpawner(address='tcp://0.0.0.0:*')"
        )
        port = parent.get("node.address").rpartition(":")[2]
        client = connect(laptop, f"tcp://{lab.address}:{port}")
        assert client.get("client._import('os').getpid()") == parent.get("node.pid")
        parent.do("node.stop()")


class TestWhatCanBeSeen:
    # Shorter ones would be found by chance in a megabyte of anything.
    WORDS = (b"call_obj", b"get_item", b"plutonium")

    def seen(self, captured):
        array = np.arange(100_000).tobytes()
        pieces = [array[start : start + 64] for start in range(0, len(array), 80_000)]
        return [word for word in (*self.WORDS, *pieces) if word in captured]

    def test_no_payload_in_either_direction(self, lab, laptop):
        lab.trust(laptop)
        _, address = serve(lab)
        with laptop.capture() as capture:
            client = connect(laptop, address)
            client.do("import numpy as np; thing = client['thing']")
            assert client.get("thing.echo('plutonium')") == "plutonium"
            assert client.get("len(thing.echo(np.arange(100_000)))") == 100_000
        for captured in (capture.sent, capture.received):
            assert len(captured) > 800_000
            assert self.seen(captured) == []
            assert captured.count(b"CURVE") == 1  # the mechanism, in the greeting of ZMTP
        assert b"\x05HELLO" in capture.sent
        assert b"\x07WELCOME" in capture.received
        assert b"\x08INITIATE" in capture.sent
        assert b"\x05READY" in capture.received

    def test_what_is_not_encrypted_is_seen(self, lab, laptop):
        """Else the test above would prove nothing."""
        plain = (
            "import socket, numpy as np; "
            f"data = {b' '.join(self.WORDS)!r} + np.arange(100_000).tobytes(); "
        )
        there = lab.start(f"{plain} listening = socket.create_server(('0.0.0.0', 0))")
        port = there.get("listening.getsockname()[1]")
        with laptop.capture() as capture:
            client = laptop.start(
                f"{plain} near = socket.create_connection(({lab.address!r},{port}))"
            )
            there.begin("do", "far, _ = listening.accept(); far.sendall(data)")
            client.do("while data: data = data[len(near.recv(len(data))):]")
            there.answer()
            there.begin("do", "while far.recv(1_000_000): pass")
            client.do(f"{plain} near.sendall(data); near.close()")
            there.answer()
        for captured in (capture.sent, capture.received):
            assert len(self.seen(captured)) == len(self.WORDS) + 10


class TestWhereAServerListens:
    def test_on_loopback_it_is_not_reached(self, lab, laptop):
        lab.trust(laptop)
        _, address = serve(lab, "tcp://127.0.0.1:*")
        client = connect(laptop, address)
        with fails("CallTimeout", "no sign of a server"):
            client.do("client.ensure_connection(timeout=1)")

    def test_on_loopback_it_is_reached_from_there(self, lab):
        program, _ = serve(lab, "tcp://127.0.0.1:*")
        assert connect(lab, program.get("server.address")).get("client.ping()") == "pong"

    @pytest.mark.parametrize("bound", ["tcp://0.0.0.0:*", "tcp://192.0.2.1:*"])
    def test_its_proxies_lead_to_where_the_client_has_reached_it(self, lab, laptop, bound):
        lab.trust(laptop)
        _, address = serve(lab, bound)
        client = connect(laptop, address)
        client.do("thing = client['thing'].make()")
        assert client.get("thing._rpc_addr") == address
        assert client.get("thing.add(1, 2)") == 3
        assert client.get("RPCClient.get_client(thing._rpc_addr) is client")

    def test_proxies_of_nodes_beside_it_lead_there_if_they_listen_beyond_loopback(
        self, lab, laptop
    ):
        lab.trust(laptop)
        server, address = serve(lab)
        server.do("from spawner import ProcessSpawner")
        server.do("far, near = ProcessSpawner(address='tcp://0.0.0.0:*'), ProcessSpawner()")
        server.do("server['far'] = far._import('os'); server['near'] = near._import('os')")
        client = connect(laptop, address)
        assert client.get("client['far'].getpid()") == server.get("far.pid")
        with fails("can only be reached on 192.0.2.1 itself"):
            client.do("client['near']")
        server.do("far.stop(); near.stop()")


class TestCallbacks:
    def test_without_a_server_beyond_loopback_it_is_said_what_to_do(self, lab, laptop):
        lab.trust(laptop)
        _, address = serve(lab)
        client = connect(laptop, address)
        with fails("SerializationError", "RPCServer('tcp://0.0.0.0:*').run_lazy()"):
            client.do("client['thing'].call(max, 1, 2)")
        assert client.get("client['thing'].add(1, 2)") == 3

    def test_without_a_key_for_it_it_is_said_what_to_do(self, lab, laptop):
        lab.trust(laptop)
        _, address = serve(lab)
        client = connect(laptop, address)
        client.do("own = RPCServer('tcp://0.0.0.0:*'); own.run_lazy()")
        with fails("tcp://192.0.2.2:", "pyacq-rpc key --help"):
            client.do("client['thing'].call(max, 1, 2)")

    @pytest.mark.parametrize("bound", ["tcp://0.0.0.0:*", "tcp://192.0.2.2:*"])
    def test_with_both_it_is_called(self, lab, laptop, bound):
        lab.trust(laptop)
        laptop.trust(lab)
        _, address = serve(lab)
        client = connect(laptop, address)
        client.do(f"own = RPCServer({bound!r}); own.run_lazy()")
        assert client.get("client['thing'].call(max, 1, 2)") == 2

    def test_on_one_host_it_is_called_by_whichever_address(self, lab):
        _, address = serve(lab)
        assert connect(lab, address).get("client['thing'].call(max, 1, 2)") == 2


class TestThirdHosts:
    @pytest.fixture
    def programs(self, lab, laptop, desk):
        """A thing in the lab, a client of it on the laptop, and that one's server at the desk."""
        lab.trust(laptop)
        desk.trust(laptop)
        thing, address = serve(lab)
        server, at_desk = serve(desk)
        client = connect(laptop, address)
        client.do(f"desk = RPCClient({at_desk!r})['thing']; thing = client['thing'].make()")
        return thing, client, server

    def test_a_proxy_that_is_handed_on_works(self, programs, lab, desk):
        lab.trust(desk)
        _, client, _ = programs
        assert client.get("desk.note(thing)") is None
        assert client.get("desk.count_that_add(1, 2, 3)") == 1

    def test_once_that_one_has_a_key(self, programs, lab, desk):
        _, client, server = programs
        client.do("desk.note(thing)")
        with fails("AuthenticationError", "pyacq-rpc key --help"):
            server.do("server['thing'].log.pop().add(1, 2)")
        lab.trust(desk)
        client.do("desk.note(thing)")
        assert client.get("desk.count_that_add(1, 2, 3)") == 1

    def test_a_program_beside_the_server_hands_on_what_reaches_it(self, lab, laptop):
        """It knows the server by loopback, which others cannot."""
        lab.trust(laptop)
        owner, _ = serve(lab)
        port = owner.get("server.address").rpartition(":")[2]
        beside, address = serve(lab)
        beside.do(f"beside = RPCClient('tcp://127.0.0.1:{port}')")
        beside.do("server['made'] = beside['thing'].make()")
        client = connect(laptop, address)
        assert client.get("client['made'].add(1, 2)") == 3
        assert client.get("client['made']._rpc_addr").startswith("tcp://192.0.2.1:")


class TestTheCable:
    @pytest.fixture
    def server(self, lab, laptop):
        lab.trust(laptop)
        laptop.trust(lab)
        return serve(lab)

    def test_all_who_wait_notice_that_it_is_cut(self, server, laptop):
        program, address = server
        sync, futures, idle = (connect(laptop, address) for _ in range(3))
        for client in (sync, futures, idle):
            client.do("thing = client['thing']")
        futures.do("waiting = [thing.wait(_sync='async') for _ in range(3)]")
        assert eventually(lambda: program.get("server.status()['doing']") == "thing.wait")
        sync.begin("do", "thing.add(1, 2, _timeout=60)")
        futures.begin("do", "waiting[2].result()")
        idle.begin("do", "while not client.disconnected(): time.sleep(0.01)")
        laptop.cut()
        begin = time.monotonic()
        for waits in (sync, futures):
            with fails("ServerDisconnected", "has died") as caught:
                waits.answer()
            assert caught.at - begin < NOTICED
        assert idle.answer_whole()["at"] - begin < NOTICED
        assert futures.get("all(future.done() for future in waiting)")
        laptop.mend()
        program.do("server['thing'].gate.set()")
        client = connect(laptop, address)
        assert client.get("client['thing'].add(1, 2)") == 3
        assert eventually(lambda: program.get("len(server.listener.connections)") == 1)

    def test_a_server_that_waits_for_a_callback_notices_too(self, server, laptop):
        program, address = server
        client = connect(laptop, address)
        client.do("own = RPCServer('tcp://0.0.0.0:*'); own.run_lazy(); from time import sleep")
        client.do("import threading; begun = threading.Event()")
        client.do("def wait(): begun.set(); sleep(60)")
        client.begin("do", "client['thing'].call(wait)")
        connected = "[client.welcomed() for client in server.runtime.links._open]"
        assert eventually(lambda: program.get(connected) == [True])
        laptop.cut()
        begin = time.monotonic()
        assert eventually(lambda: program.get("len(server.runtime.waiting)") == 0)
        assert eventually(lambda: program.get("len(server.listener.connections)") == 0)
        assert time.monotonic() - begin < NOTICED

    def test_a_short_break_does_not_end_a_call(self, server, laptop):
        _, address = server
        client = connect(laptop, address)
        client.do("thing = client['thing']")
        client.begin("get", "thing.sleep(4)")
        laptop.cut()
        time.sleep(1)  # as long as the break is
        laptop.mend()
        assert client.answer() == 4
        assert client.get("thing.add(1, 2)") == 3
