from __future__ import annotations

import logging
import time

import pytest
import zmq
from conftest import eventually, with_key
from log_making import Collector, Failing, log_record, send

from pyacq_rpc.transport.keys import be_server, key_path, user_key
from pyacq_rpc.transport.waiting import wait_readable
from spawner import LogSender, LogServer, LogWatcher, ProcessSpawner
from spawner.log_records import NOTES, write_record
from spawner.log_watchers import WATCH, Watchers


@pytest.fixture
def seen():
    """What the watcher got."""
    return Collector()


@pytest.fixture
def own():
    """What the log server got."""
    return Collector()


@pytest.mark.parametrize("address", [None, "tcp://127.0.0.1:*"])
def test_a_watcher_gets_what_the_server_gets(address, seen, own):
    with (
        LogServer(own.logger, address) as server,
        LogWatcher(server.address, seen.logger) as watcher,
    ):
        assert watcher.wait_connected(20)
        with ProcessSpawner(name="camera", log_addr=server.address) as node:
            node._import("logging").getLogger("lens").warning("dusty")
            assert eventually(lambda: "dusty" in seen.messages())
        assert "dusty" in own.messages()
    got = next(r for r in seen.records if r.getMessage() == "dusty")
    assert (got.name, got.levelname, got.processName) == ("lens", "WARNING", "camera")


def test_none_that_comes_while_it_watches_is_lost(seen, own):
    with LogServer(own.logger) as server, LogWatcher(server.address, seen.logger) as watcher:
        assert watcher.wait_connected(20)
        send(server.address, *[f"n{n}" for n in range(5000)])
        server.close()
        expected = [f"n{n}" for n in range(5000)]
        assert eventually(lambda: seen.messages() == expected)


def test_watchers_come_and_go(seen, own):
    with LogServer(own.logger) as server:
        with (
            LogWatcher(server.address, seen.logger) as first,
            LogWatcher(server.address, seen.logger) as second,
        ):
            assert first.wait_connected(20)
            assert second.wait_connected(20)
            send(server.address, "for both")
            assert eventually(lambda: seen.messages() == ["for both"] * 2)
        send(server.address, "for nobody")
        assert eventually(lambda: "for nobody" in own.messages())
        send(server.address, "later")
        assert eventually(lambda: "later" in own.messages())
    assert first.closed()
    assert len(seen.records) == 2


def test_it_waits_for_a_server_that_is_not_there_yet_or_again(tmp_path, seen, own):
    address = f"ipc://{tmp_path}/log"
    with LogWatcher(address, seen.logger) as watcher:
        assert not watcher.wait_connected(0.05)
        for text in ("one", "two"):
            with LogServer(own.logger, address):
                assert watcher.wait_connected(20)
                send(address, text)
                assert eventually(lambda text=text: text in seen.messages())
            assert eventually(lambda: not watcher.connected())


def test_what_comes_just_before_a_record_is_passed_on_is_not_left_lying(seen, own, monkeypatch):
    """To send may swallow the sign that it has come."""
    with LogServer(own.logger) as server, LogWatcher(server.address, seen.logger) as watcher:
        assert watcher.wait_connected(20)
        sender, later = LogSender(server.address, "here"), LogSender(server.address, "there")
        pass_on, records = Watchers.pass_on, ["second"]

        def pass_on_when_more_has_come(watchers, data):
            while records:
                later.handle(log_record(records.pop()))
                assert wait_readable([int(server._socket.fd)], 10)
                time.sleep(0.01)  # for a few million cycles, libzmq does not look when it sends
            pass_on(watchers, data)

        monkeypatch.setattr(Watchers, "pass_on", pass_on_when_more_has_come)
        sender.handle(log_record("first"))
        assert eventually(lambda: own.messages() == seen.messages() == ["first", "second"])
        sender.close()
        later.close()


@pytest.mark.timeout(120)
def test_one_that_does_not_keep_up_holds_nobody_back_and_is_told(own, monkeypatch):
    monkeypatch.setattr("spawner.logs.QUEUE_LENGTH", 10)
    monkeypatch.setattr("spawner.logs.PATIENCE_MS", 60_000)  # the sender drops none
    context = zmq.Context()
    with LogServer(own.logger, "tcp://127.0.0.1:*") as server:
        slow = with_key(context.socket(zmq.DEALER))
        slow.rcvhwm = 10
        slow.connect(server.address)
        slow.send(WATCH)
        assert slow.recv() == b""
        sender = LogSender(server.address, "here")
        for n in range(400):
            sender.handle(log_record(f"{n} " + "x" * 100_000))
        assert eventually(lambda: len(own.records) == 400, 60)
        got = []
        while not any(b"after" in data for data in got):
            while slow.poll(300):
                got.append(slow.recv())
            sender.handle(log_record("after"))
        sender.close()
        slow.close(linger=0)
    context.term()
    assert len(got) < 400
    assert any(b"log records were not passed on here" in data for data in got)


def test_what_is_malformed_is_dropped_and_told(tmp_path, seen, caplog):
    context = zmq.Context()
    router = context.socket(zmq.ROUTER)
    be_server(router, user_key(key_path()))
    router.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 0)
    router.bind(f"ipc://{tmp_path}/log")
    good = write_record(log_record("good"), "host", "camera")
    with LogWatcher(f"ipc://{tmp_path}/log", seen.logger):
        watcher, asked = router.recv_multipart()
        assert asked == WATCH
        for frames in ([b"\xff"], [b"{}"], [b"[" * 200_000], [good, good], [b"", good], [good]):
            router.send_multipart([watcher, *frames])
        assert eventually(lambda: seen.messages() == ["good"])
    router.close(linger=0)
    context.term()
    assert caplog.text.count("dropped a malformed log record") == 5


def test_a_handler_that_fails_is_told_and_stops_nothing(own, caplog):
    failing = Failing()
    with LogServer(own.logger) as server, LogWatcher(server.address, failing.logger) as watcher:
        assert watcher.wait_connected(20)
        send(server.address, "one", "two")
        assert eventually(lambda: failing.messages() == ["one", "two"])
        assert eventually(lambda: caplog.text.count("a handler failed on a record") == 2)
    assert caplog.text.count("RuntimeError: disk full") == 2


def test_what_is_told_of_a_handler_that_fails_may_come_back(own):
    """As in a window of a node that shows what comes to the log server of its program."""
    failing, told = Failing(), "a handler failed on a record"
    with LogServer(own.logger) as server, LogWatcher(server.address, failing.logger) as watcher:
        assert watcher.wait_connected(20)
        sender = LogSender(server.address, "window")
        logging.getLogger(NOTES).addHandler(sender)
        send(server.address, "one")
        assert eventually(lambda: failing.messages() == ["one", told])
        send(server.address, "two")
        assert eventually(lambda: failing.messages() == ["one", told, "two", told])
        logging.getLogger(NOTES).removeHandler(sender)
        sender.close()
    assert own.messages() == ["one", told, "two", told]


def test_what_could_never_be_a_log_server_is_refused():
    with pytest.raises(ValueError, match="is not an address"):
        LogWatcher("nowhere")
    with pytest.raises(ValueError, match="cannot connect"):
        LogWatcher("tcp://no such host:1")
