from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from conftest import eventually, fixed_address, serving, settled
from observing import adds_up
from things import Thing

from pyacq_rpc import CallTimeout, ProtocolError, RPCClient, RPCServer, SerializationError
from pyacq_rpc.peers.runtime import current
from pyacq_rpc.session.policy import Trusted


class TestOfAClient:
    def test_before_anything_was_sent(self):
        server = RPCServer()
        stats = RPCClient(server.address).stats()
        assert stats == (0, 0, 0, 0, 0, 0, 0, 0, 0, None, None)
        server.close()

    def test_each_kind_of_call(self, client, thing):
        before = client.stats()
        thing.add(1, 2)
        thing.add(1, 2, _sync="async").result(10)
        thing.note(1, _sync="off")
        with pytest.raises(ValueError, match="no"):
            thing.fail("no")
        stats = client.stats()
        assert stats.sent == before.sent + 4
        assert stats.answered == before.answered + 2
        assert stats.failed == before.failed + 1
        assert stats.off == before.off + 1
        assert stats.in_flight == 0
        assert adds_up(client._conversation)

    def test_waits_that_were_given_up(self, server, client, thing):
        future = thing.wait(_sync="async")
        with pytest.raises(CallTimeout):
            future.result(0.01)
        with pytest.raises(CallTimeout):
            thing.add(1, 2, _timeout=0.01)
        assert client.stats().timed_out == 2
        assert client.stats().in_flight == 2
        server["thing"].gate.set()
        thing.notes()
        assert client.stats().in_flight == 0
        assert adds_up(client._conversation)

    def test_one_that_another_thread_gives_up(self, server, client, thing):
        future = thing.wait(_sync="async")
        caught = []

        def wait():
            try:
                future.result(0.01)
            except CallTimeout as error:
                caught.append(error)

        thread = threading.Thread(target=wait)
        thread.start()
        thread.join(10)
        assert caught
        assert client.stats().timed_out == 1
        server["thing"].gate.set()

    def test_what_was_not_sent_is_not_counted(self, client, thing):
        before = client.stats()
        deep = []
        deep.append(deep)
        for sync in ("sync", "async", "off"):
            with pytest.raises(SerializationError):
                thing.echo(deep, _sync=sync)
        assert client.stats() == before

    def test_what_is_withdrawn_or_lost_has_failed(self, server, client, thing):
        thing.wait(_sync="async")
        assert thing.add(1, 2, _sync="async").cancel()
        client.close()
        stats = client.stats()
        assert (stats.failed, stats.in_flight) == (2, 0)
        assert adds_up(client._conversation)
        server["thing"].gate.set()

    def test_leases(self, client, thing):
        assert client.stats().leases == 1
        other = thing.make()
        assert client.stats().leases == 2
        del other
        assert eventually(lambda: client.stats().leases == 1)

    def test_bytes(self, client, thing):
        before = client.stats()
        array = np.zeros(1_000_000, "u1")
        thing.echo(array)
        after = client.stats()
        for name in ("bytes_sent", "bytes_received"):
            assert 1_000_000 < getattr(after, name) - getattr(before, name) < 1_001_000

    def test_the_road_and_since_when(self, client):
        assert settled(client)
        stats = client.stats()
        assert stats.road == ("direct" if current().direct else "zmq")
        assert abs(stats.connected_since - time.time()) < 60

    def test_from_another_thread_while_it_waits(self, server, client, thing):
        before, found = client.stats(), []

        def look():
            assert eventually(lambda: client.stats().in_flight == 1)
            found.append(client.stats())
            server["thing"].gate.set()

        thread = threading.Thread(target=look)
        thread.start()
        thing.wait()
        thread.join(10)
        assert (found[0].sent - before.sent, found[0].in_flight) == (1, 1)

    def test_many_at_once_add_up(self, client, thing):
        futures = [thing.add(n, n, _sync="async") for n in range(1000)]
        for n in range(100):
            thing.add(n, n)
        assert all(future.result(10) is not None for future in futures)
        stats = client.stats()
        assert stats.answered >= 1100
        assert adds_up(client._conversation)

    def test_they_begin_anew_with_a_new_server(self):
        address = fixed_address()
        with serving(address):
            client = RPCClient(address)
            client.ping()
        assert eventually(client.disconnected)
        with serving(address):
            client.reconnect()
            client.ping()
            assert client.stats().sent == 1


class TestOfAServer:
    def test_what_is_done_and_what_fails(self, server, client, thing):
        before = server.stats()
        thing.add(1, 2)
        with pytest.raises(ValueError, match="no"):
            thing.fail("no")
        thing.fail("no", _sync="off")
        thing.notes()
        stats = server.stats()
        assert (stats.done - before.done, stats.failed - before.failed) == (2, 2)
        assert stats.in_flight == 0

    def test_asked_from_afar_while_it_is_busy(self, server, client, thing):
        thing.wait(_sync="async")
        for _ in range(3):
            thing.notes(_sync="async")
        assert eventually(lambda: client.server_stats(10).in_flight == 1)
        done = client.server_stats(10).done
        assert eventually(lambda: client.server_stats(10).busy > 0.01)
        server["thing"].gate.set()
        thing.notes()
        stats = client.server_stats(10)
        assert (stats.in_flight, stats.queue) == (0, 0)
        assert stats.done == done + 5
        assert 0 < stats.busy < stats.uptime

    def test_asking_is_not_counted(self, server, client, thing):
        before = server.stats()
        for _ in range(5):
            client.server_stats(10)
        client.send("stats")  # in its turn
        after = server.stats()
        assert (after.done, after.in_flight) == (before.done, 0)

    def test_what_waits(self, server, client, thing, monkeypatch):
        monkeypatch.setattr(server.runtime, "direct", False)  # what comes over ZeroMQ is read
        other = RPCClient(server.address, serializer="json")
        other.ping()
        thing.wait(_sync="async")
        assert eventually(lambda: client.server_stats(10).in_flight == 1)
        futures = [other.send("ping", sync="async") for _ in range(3)]
        assert eventually(lambda: client.server_stats(10).queue == 3)
        server["thing"].gate.set()
        assert [future.result(10) for future in futures] == ["pong"] * 3

    def test_who_is_connected(self, server, client):
        def ask():
            RPCClient(server.address).ping()
            seen.append(server.stats())

        seen = []
        client.ping()
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join(10)
        assert (seen[0].connections, seen[0].processes) == (2, 1)
        assert eventually(lambda: server.stats().connections == 1)

    def test_what_others_hold(self, server, client, thing):
        made = [thing.make() for _ in range(3)]
        assert server.stats().leases == 4
        mine = server.get_proxy(Thing())  # the server's own
        assert server.stats().leases == 4
        assert server.stats().published == 1
        del made, mine
        assert eventually(lambda: server.stats().leases == 1)

    def test_what_was_granted(self, server, client, thing):
        token = thing._lease.home.grant(thing._lease)
        assert eventually(lambda: client.server_stats(10).granted == 1)
        thing._lease.home.withdraw(token)
        assert eventually(lambda: client.server_stats(10).granted == 0)

    def test_calls_within_calls(self, thing, other_server, other_thing):
        """One that waits for an answer is in flight along with what is done meanwhile."""
        seen = []

        def look():
            seen.append(other_server.stats().in_flight)

        back = other_server.get_proxy(look)
        assert other_thing.call(thing.call, back) is None
        assert seen == [2]
        assert other_server.stats().in_flight == 0

    def test_interrupted_calls_are_counted(self, server, client, thing):
        go_on = threading.Event()
        future = thing.call(lambda: go_on.wait(60), _sync="async")
        assert eventually(lambda: client.server_stats(10).in_flight == 1)
        failed = server.stats().failed
        assert client.interrupt(10)
        assert future.exception(10) is not None
        assert (server.stats().in_flight, server.stats().failed) == (0, failed + 1)
        go_on.set()

    def test_after_it_has_closed(self, server, client):
        client.ping()
        client.close_server(timeout=10)
        server.wait_closed(10)
        assert server.stats().done >= 2

    def test_a_policy_may_refuse_them(self):
        class Refuses(Trusted):
            def check(self, access, *args):
                if access == "stats":
                    raise PermissionError("no")

        server = RPCServer(policy=Refuses())
        thread = threading.Thread(target=server.run_forever)
        thread.start()
        with pytest.raises(PermissionError):
            RPCClient(server.address).server_stats(10)
        server.close()
        thread.join(10)

    @pytest.mark.parametrize("answer", [None, {}, {"done": 1}, [1, 2]])
    def test_an_answer_of_another_version(self, server, client, answer):
        client.ping()
        server.dispatcher._stats = lambda: answer
        with pytest.raises(ProtocolError, match="other statistics"):
            client.server_stats(10)

    def test_one_that_does_not_answer(self):
        server = RPCServer()
        client = RPCClient(server.address)
        with pytest.raises(CallTimeout):
            client.server_stats(0.01)
        assert client.stats().timed_out == 1
        server.close()
