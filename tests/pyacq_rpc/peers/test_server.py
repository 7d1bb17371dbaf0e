from __future__ import annotations

import contextlib
import gc
import socket
import threading
import time
import weakref

import pytest
import zmq
from conftest import collected, eventually, fixed_address, open_descriptors, with_key
from things import Thing

import pyacq_rpc
from pyacq_rpc import (
    ObjectProxy,
    ReferenceReleased,
    RemoteCallException,
    RPCClient,
    RPCServer,
    ServerDisconnected,
)
from pyacq_rpc.wire.codecs import codec_named
from pyacq_rpc.wire.messages import (
    Failure,
    Goodbye,
    Hello,
    Move,
    Reference,
    Request,
    Result,
    Target,
    Welcome,
)


@pytest.fixture
def raw(server):
    """A plain DEALER socket that is connected to the server."""
    context = zmq.Context()
    socket = with_key(context.socket(zmq.DEALER))
    socket.linger = 0
    socket.rcvtimeo = 10_000
    socket.connect(server.address)
    yield socket
    socket.close()
    context.term()


def refuse(thing):
    raise AssertionError(thing)


class Stand:
    """Stands for a proxy in a message."""

    def __init__(self, reference):
        self.reference = reference

    def refer(self):
        return self.reference


def ask(raw, message, serializer="msgpack", refer=refuse):
    raw.send_multipart(codec_named(serializer).encode(message, refer))
    return codec_named(serializer).decode(raw.recv_multipart(), refuse)


HELLO = Hello(1, "peer", {})


class TestWire:
    def test_hello_is_welcomed(self, server, raw):
        welcome = ask(raw, HELLO)
        assert isinstance(welcome, Welcome)
        assert welcome.server == server.server_id

    @pytest.mark.parametrize("serializer", ["msgpack", "json"])
    def test_the_serializer_is_seen_from_the_hello(self, raw, serializer):
        assert isinstance(ask(raw, HELLO, serializer), Welcome)
        assert ask(raw, Request(1, "ping", "auto", {}), serializer) == Result(1, "pong")

    def test_another_version_is_refused_with_a_sentence(self, raw):
        refusal = ask(raw, Hello(99, "peer", {}))
        assert refusal.code == "protocol"
        assert "version 99" in refusal.message

    def test_a_request_before_the_hello_is_a_strangers(self, raw):
        assert ask(raw, Request(1, "ping", "auto", {})).code == "stranger"

    def test_before_the_hello_nothing_is_connected_to(self, server, raw):
        """Whoever is not known yet cannot have the server claim a reference somewhere."""
        far = Reference("tcp://127.0.0.1:9", "ref", "server.1", "Thing", [], "token")
        request = Request(1, "transfer", "auto", {"obj": raw})
        frames = codec_named("msgpack").encode(request, lambda _: far)
        raw.send_multipart(frames)
        assert codec_named("msgpack").decode(raw.recv_multipart(), refuse).code == "stranger"
        assert not any(client.address == far.address for client in server.runtime.links._open)

    def test_a_hello_after_goodbye_does_not_end_it(self, server, raw, client):
        """Over the direct road, on which none can be said."""
        if not server.runtime.direct:
            pytest.skip("there is none")
        road = ask(raw, HELLO._replace(info={"direct": True})).info
        with socket.socket(socket.AF_UNIX) as stream:
            stream.connect(road["path"])
            stream.sendall(road["token"].encode())
            assert ask(raw, Move(road["token"])) == Move(road["token"])
            frames = [codec_named("msgpack").encode(m, refuse)[0] for m in (Goodbye("bye"), HELLO)]
            stream.sendall(b"".join(len(f).to_bytes(4, "little") + bytes(f) for f in frames))
            assert eventually(lambda: not server.listener.connections.has_peer(HELLO.peer))
            assert client.ping() == "pong"

    @pytest.mark.parametrize(
        "frames",
        [
            [b""],
            [b"garbage"],
            [b"\x93\x02"],
            [b"\x80\x04pickle"],
            [b"[7,"],
            [b"\xc1" * 100],
            [b"", b"", b""],
            [b"\x91\x63", b"extra"],
        ],
    )
    def test_garbage_ends_nothing_and_is_answered(self, server, raw, frames):
        raw.send_multipart(frames)
        refusal = codec_named("msgpack").decode(raw.recv_multipart(), refuse)
        assert isinstance(refusal, Failure)
        assert refusal.id is None
        assert isinstance(ask(raw, HELLO), Welcome)
        raw.send_multipart(frames)
        assert codec_named("msgpack").decode(raw.recv_multipart(), refuse).id is None
        assert ask(raw, Request(2, "ping", "auto", {})) == Result(2, "pong")

    def test_what_only_servers_send_is_refused(self, raw):
        ask(raw, HELLO)
        assert ask(raw, Welcome(1, "x", {})).code == "protocol"
        assert ask(raw, Result(1, 2)).code == "protocol"

    def test_a_reply_mode_of_off_is_not_answered(self, raw):
        ask(raw, HELLO)
        raw.send_multipart(codec_named("msgpack").encode(Request(1, "ping", "off", {}), refuse))
        assert ask(raw, Request(2, "ping", "auto", {})) == Result(2, "pong")

    def test_ack_answers_none(self, raw):
        ask(raw, HELLO)
        assert ask(raw, Request(1, "ping", "ack", {})) == Result(1, None)

    def test_a_reference_does_not_name_what_is_published(self, server, raw):
        """What it leads to would be used in the server's own name."""
        ask(raw, HELLO)
        server["thing"] = Thing()
        for address, server_id in ((server.address, server.server_id), ("tcp://h:1", "other")):
            reference = Reference(address, "@thing", f"{server_id}.1", "Thing", [], "token")
            options = {"obj": Target("@thing", ["note"]), "args": [Stand(reference)], "kwargs": {}}
            failure = ask(raw, Request(1, "call_obj", "auto", options), refer=Stand.refer)
            assert failure.code == "protocol"
            assert "what its sender holds" in failure.message
        assert server["thing"].log == []


class TestProxies:
    def test_get_proxy_and_unwrap(self, server):
        thing = Thing()
        proxy = server.get_proxy(thing)
        assert isinstance(proxy, ObjectProxy)
        assert server.unwrap_proxy(proxy) is thing
        assert server.unwrap_proxy(proxy.add) == thing.add

    def test_unwrap_of_anothers_proxy_is_refused(self, server, client):
        other = RPCServer()
        proxy = other.get_proxy(Thing())
        with pytest.raises(ValueError, match="another server"):
            server.unwrap_proxy(proxy)

    def test_a_proxy_made_here_works_from_any_thread(self, server):
        proxy = server.get_proxy(Thing(), timeout=20.0)
        assert proxy.add(1, 2) == 3

    def test_a_local_proxy_can_be_published_and_comes_out_as_the_object(self, server, client):
        thing = Thing()
        client["mine"] = server.get_proxy(thing)
        assert server["mine"] is thing

    def test_dropping_a_local_proxy_releases_the_object(self, server):
        proxy = server.get_proxy(Thing())
        assert len(server.table) == 1
        del proxy
        assert len(server.table) == 0

    def test_in_its_own_thread_a_server_is_called_directly(self):
        server = RPCServer()
        server.run_lazy()
        thing = Thing()
        proxy = server.get_proxy(thing)
        assert proxy.add(1, 2) == 3
        assert proxy.me() is thing
        assert proxy.add(1, 2, _sync="async").result() == 3
        proxy.value = 5
        assert thing.value == 5
        with pytest.raises(ValueError, match="x"):
            proxy.fail("x")
        client = RPCServer.local_client()
        client["a"] = proxy
        assert client["a"] is thing
        assert client._import("math").sqrt(4) == 2

    def test_process_action(self, server):
        server["a"] = 1
        assert server.process_action("get_item", {"name": "a"}, "auto", None) == 1
        assert isinstance(
            server.process_action("get_item", {"name": "a"}, "proxy", None), ObjectProxy
        )
        assert server.process_action("ping", {}, "auto", None) == "pong"


class Quitting:
    @property
    def attribute(self):
        raise SystemExit(3)


def test_an_argument_whose_look_up_exits_ends_nothing(server, client):
    server["thing"] = Thing()
    server["quitting"] = Quitting()
    with pytest.raises(RemoteCallException) as caught:
        client["thing"].echo(client["quitting"].attribute)
    assert caught.value.type_name == "SystemExit"
    assert client["thing"].add(1, 2) == 3


class TestDelete:
    def test_a_deleted_reference_cannot_be_used(self, server, client):
        server["thing"] = Thing()
        thing = client["thing"]
        copy = thing.me()
        thing._delete()
        with pytest.raises(ReferenceReleased):
            thing.add(1, 2)
        with pytest.raises(ReferenceReleased):
            thing.value._get_value()
        assert copy.add(1, 2) == 3

    def test_client_delete(self, server, client):
        server["thing"] = Thing()
        thing = client["thing"]
        client.delete(thing)
        with pytest.raises(ReferenceError):
            client.delete(thing)


class TestClosing:
    def test_close_before_running(self):
        server = RPCServer()
        server.close()
        server.close()
        assert not server.running()
        server.run_forever()  # returns at once

    def test_close_while_running_from_another_thread(self):
        server = RPCServer()
        thread = threading.Thread(target=server.run_forever)
        thread.start()
        time.sleep(0.05)
        server.close()
        thread.join(10)
        assert not thread.is_alive()

    def test_close_from_a_request(self, server, client):
        server["server"] = server
        client["server"].close(_sync="off")
        assert server.wait_closed(10)

    def test_nothing_is_begun_once_it_was_asked_to_close(self, monkeypatch):
        """Nor in a turn that has looked before: the handler of a signal asks at any moment."""
        server = RPCServer()
        thing = server["thing"] = Thing()
        server.run_lazy()
        connected, go, noted = threading.Event(), threading.Event(), threading.Event()

        def use():
            proxy = RPCClient(server.address)["thing"]
            connected.set()
            go.wait(10)
            proxy.note(1, _sync="off")
            noted.set()

        thread = threading.Thread(target=use)
        thread.start()
        while not connected.is_set():
            server._read_and_process_one(0.01)
        fill = server.listener.fill

        def fill_and_close():
            fill()
            if server.listener.inbox.items:
                server.close()

        monkeypatch.setattr(server.listener, "fill", fill_and_close)
        go.set()
        assert noted.wait(10)
        assert eventually(lambda: server.serve_ready() and server.listener.closed)
        thread.join(10)
        assert thing.log == []

    def test_close_of_a_lazy_server(self):
        server = RPCServer()
        server.run_lazy()
        assert RPCServer.get_server() is server
        server.close()
        assert RPCServer.get_server() is None

    def test_close_of_a_lazy_server_from_another_thread(self):
        server = RPCServer()
        server.run_lazy()
        thread = threading.Thread(target=server.close)
        thread.start()
        thread.join()
        assert not server.running()

    def test_close_after_the_thread_has_ended(self):
        server = RPCServer()
        thread = threading.Thread(target=server.run_lazy)
        thread.start()
        thread.join()
        assert eventually(lambda: not server.running())
        server.close()

    def test_a_closed_server_lets_go_of_its_objects(self, server, client):
        thing = Thing()
        seen = weakref.ref(thing)
        server["thing"] = thing
        proxy = client["thing"]
        del thing
        client.close_server(timeout=10)
        assert eventually(lambda: seen() is None)
        with pytest.raises(ConnectionError):
            proxy.add(1, 2)

    def test_it_stays_while_there_is_a_proxy_of_its_own(self):
        server = RPCServer()
        proxy, seen = server.get_proxy(Thing()), weakref.ref(server)
        del server
        gc.collect()
        assert seen() is not None
        seen().close()
        del proxy
        assert collected(seen)

    def test_the_same_address_can_be_used_again_at_once(self):
        address = fixed_address()
        for _ in range(20):
            RPCServer(address).close()

    def test_a_taken_address_is_refused_with_a_sentence(self, server):
        with pytest.raises(OSError, match="cannot listen at tcp://"):
            RPCServer(server.address)


class TestDropped:
    """A server that nobody holds any more is closed when it is collected."""

    def test_its_socket_and_descriptors_are_closed(self):
        server = RPCServer()
        listener = server.listener
        before = len(open_descriptors())
        seen = weakref.ref(server)
        del server
        assert collected(seen)
        assert eventually(lambda: listener.closed)
        assert len(open_descriptors()) < before

    def test_one_that_was_refused_by_its_thread(self):
        with contextlib.closing(RPCServer()) as first:
            first.run_lazy()
            with pytest.raises(RuntimeError, match="already has a server"):
                RPCServer().run_lazy()
            gc.collect()
            assert first.running()

    def test_its_clients_are_told(self):
        server = RPCServer()
        client = RPCClient(server.address)
        while not client.welcomed():
            server.serve_ready()
        seen = weakref.ref(server)
        del server
        assert collected(seen)  # the I/O thread may still have it in hand
        with pytest.raises(ServerDisconnected, match="has closed"):
            client.ping()

    def test_at_exit_before_it_is_collected(self):
        gc.disable()
        try:
            listener = RPCServer().listener
            pyacq_rpc.reset()
            assert listener.closed
        finally:
            gc.enable()


class TestOneForEachThread:
    def test_a_second_server_is_refused(self):
        first, second = RPCServer(), RPCServer()
        first.run_lazy()
        with pytest.raises(RuntimeError, match="already has a server"):
            second.run_lazy()
        RPCServer.unregister_server(first)
        second.run_lazy()
        assert RPCServer.get_server() is second

    def test_one_server_belongs_to_one_thread(self, server):
        assert eventually(lambda: server._thread is not None)
        with pytest.raises(RuntimeError, match="another thread"):
            RPCServer.register_server(server)


def test_the_leases_of_a_client_that_vanishes_come_back(server, client, raw):
    ask(raw, HELLO)
    server["thing"] = Thing()
    raw.send_multipart(
        codec_named("msgpack").encode(Request(1, "get_item", "proxy", {"name": "thing"}), refuse)
    )
    raw.recv_multipart()
    assert len(server.table) == 1
    raw.close()
    assert eventually(lambda: len(server.table) == 0)


def test_identities_are_random(server):
    clients = [RPCClient(server.address) for _ in range(20)]
    assert {c.ping() for c in clients} == {"pong"}
    assert len(server.listener.connections) == 20
