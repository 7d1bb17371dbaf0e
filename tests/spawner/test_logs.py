from __future__ import annotations

import gc
import json
import logging
import os
import subprocess
import sys
import time
import weakref
from pathlib import Path

import pytest
import zmq
from conftest import eventually, with_key
from log_making import Collector, Failing, log_record, send

import pyacq_rpc
from pyacq_rpc.transport.keys import be_server, key_path, user_key
from spawner import LogServer, ProcessSpawner, get_log_address, start_log_server
from spawner.logs import LogSender

ROOT = Path(__file__).parents[2]

GOOD = {"name": "test", "msg": "bad", "levelno": 20}


@pytest.fixture
def records():
    return Collector()


@pytest.fixture
def logger(records):
    return records.logger


def record_bytes(**fields):
    return json.dumps({**GOOD, "created": 1_700_000_000.5, **fields}).encode()


def test_records_name_host_process_and_thread(logger, records):
    with (
        LogServer(logger) as server,
        ProcessSpawner(name="camera", log_addr=server.address) as node,
    ):
        node._import("logging").getLogger("lens").warning("%s is %d", "it", 5)
        assert eventually(lambda: "it is 5" in records.messages())
    got = next(r for r in records.records if r.getMessage() == "it is 5")
    assert (got.name, got.levelname, got.processName) == ("lens", "WARNING", "camera")
    assert got.process == node.pid
    assert got.threadName == "MainThread"
    assert got.hostName == os.uname().nodename


def test_records_of_several_processes_come_in_order_of_time(logger, records):
    with LogServer(logger) as server:
        early, late = LogSender(server.address, "early"), LogSender(server.address, "late")
        now = time.time()
        for n in range(50):
            late.emit(log_record(f"late {n}", created=now + n / 1000 + 0.0005))
        for n in range(50):
            early.emit(log_record(f"early {n}", created=now + n / 1000))
        early.close()
        late.close()
    assert len(records.records) == 100
    times = [r.created for r in records.records]
    assert times == sorted(times)


def test_output_becomes_records_of_the_node(logger, records):
    with LogServer(logger) as server:
        with ProcessSpawner(name="camera", log_addr=server.address) as node:
            node._import("builtins").print("out 100%")
            node._import("os").write(2, b"broken \xff line\nhalf")
        node.stop()
    found = {(r.name, r.processName, r.getMessage()) for r in records.records}
    assert ("camera.stdout", "camera", "out 100%") in found
    assert ("camera.stderr", "camera", "broken \\xff line") in found
    assert ("camera.stderr", "camera", "half") in found


def test_none_is_lost_at_exit(logger, records):
    with LogServer(logger) as server:
        with ProcessSpawner(log_addr=server.address, log_level="INFO") as node:
            there = node._import("logging")
            node["log"] = there.info
            exec_all = node._import("builtins")
            list(exec_all.map(there.info, [f"n{n}" for n in range(5000)], _return_type="proxy"))
        expected = [f"n{n}" for n in range(5000)]
    assert [m for m in records.messages() if m.startswith("n")] == expected


def test_the_default_log_server_is_found_by_nodes(caplog):
    assert get_log_address() is None
    server = start_log_server()
    assert get_log_address() == server.address
    with ProcessSpawner(name="camera") as node:
        node._import("logging").getLogger("lens").error("dusty")
        assert eventually(lambda: "dusty" in caplog.text)
    start_log_server().close()
    assert get_log_address() is None


def test_the_level_of_this_process_is_the_nodes(logger):
    logging.getLogger().setLevel(logging.ERROR)
    try:
        with LogServer(logger) as server, ProcessSpawner(log_addr=server.address) as node:
            assert node._import("logging").getLogger().level._get_value() == logging.ERROR
    finally:
        logging.getLogger().setLevel(logging.WARNING)


def test_uncaught_exceptions_in_threads_are_logged(logger, records):
    with LogServer(logger) as server, ProcessSpawner(name="n", log_addr=server.address) as node:
        timer = node._import("threading").Timer(0.01, node._import("operator").truediv, [1, 0])
        timer.start()
        assert eventually(lambda: any(r.exc_text for r in records.records))
    got = next(r for r in records.records if r.exc_text)
    assert "ZeroDivisionError" in got.exc_text
    assert got.levelno == logging.CRITICAL


def test_tracebacks_travel_as_text(logger, records):
    with LogServer(logger) as server:
        sender = LogSender(server.address, "here")
        try:
            raise KeyError("shutter")
        except KeyError:
            sender.handle(log_record("failed", exc_info=sys.exc_info()))
        sender.close()
    assert "KeyError: 'shutter'" in records.records[0].exc_text


def test_garbage_is_dropped_and_told(logger, records, caplog):
    with LogServer(logger) as server:
        context = zmq.Context()
        dealer = with_key(context.socket(zmq.DEALER))
        dealer.connect(server.address)
        for data in (b"", b"\xff", b"[]", b"{}", b'{"name": 1}', b'{"name":"a","msg":"b"}'):
            dealer.send(data)
        dealer.close()
        context.term()
        assert eventually(lambda: caplog.text.count("dropped a malformed log record") == 6)
        send(server.address, "good")
    assert records.messages() == ["good"]


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 200_000,
        record_bytes(created=float("nan")),
        record_bytes(created=float("inf")),
        record_bytes(created=1),
        record_bytes(levelno="high"),
        record_bytes(levelname=3),
        record_bytes(process="one"),
        record_bytes(thread=[]),
        record_bytes(lineno={}),
        record_bytes(exc_text=7),
    ],
)
def test_no_message_ends_the_server_or_holds_others_back(logger, records, caplog, data):
    with LogServer(logger) as server:
        context = zmq.Context()
        dealer = with_key(context.socket(zmq.DEALER))
        dealer.connect(server.address)
        dealer.send(data)
        dealer.send(record_bytes(msg="good", thread=None, extra="left out"))
        assert eventually(lambda: records.messages() == ["good"])
        dealer.close()
        context.term()
    assert caplog.text.count("dropped a malformed log record") == 1
    assert not hasattr(records.records[0], "extra")


def test_the_milliseconds_are_those_of_its_time(logger, records):
    with LogServer(logger) as server:
        send(server.address, "x", created=1000.25)
    assert records.records[0].msecs == 250


USER = """
import logging
from spawner.logs import LogSender
logging.getLogger().addHandler(LogSender("ipc://{path}", "me"))
logging.getLogger().error("nobody is there")
"""


def test_a_sender_that_nobody_closes_does_not_keep_a_process(tmp_path):
    code = USER.format(path=tmp_path / "log")
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=20)
    assert run.returncode == 0


def test_a_sender_can_be_collected(logger):
    with LogServer(logger) as server:
        sender = LogSender(server.address, "here")
        sender.close()
        collected = weakref.ref(sender)
        del sender
        gc.collect()
        assert collected() is None


def test_a_sender_that_cannot_connect_leaves_nothing():
    with pytest.raises(zmq.ZMQError):
        LogSender("nowhere", "here")
    pyacq_rpc.reset()  # waits until every socket is closed


def test_what_nodes_say_at_exit_is_not_lost(logger, records):
    """Though the log server was started after the first node."""
    ProcessSpawner().stop()
    start_log_server(logger)
    node = ProcessSpawner(name="camera")
    node._import("atexit").register(node._import("builtins").print, "bye")
    pyacq_rpc.reset()
    assert "bye" in records.messages()


def test_a_record_that_cannot_be_formatted_stops_nothing(logger, records, capsys):
    with LogServer(logger) as server:
        sender = LogSender(server.address, "here")
        sender.handle(log_record("%d", args=("not a number",)))
        sender.handle(log_record("good"))
        sender.close()
    assert records.messages() == ["good"]
    assert "Logging error" in capsys.readouterr().err


def test_a_handler_that_fails_stops_nothing(logger, records, caplog):
    with LogServer(Failing().logger) as server:
        send(server.address, "one")
        assert eventually(lambda: "disk full" in caplog.text)


def test_a_congested_sender_drops_and_says_how_many(tmp_path, monkeypatch):
    monkeypatch.setattr("spawner.logs.QUEUE_LENGTH", 10)
    monkeypatch.setattr("spawner.logs.PATIENCE_MS", 10)
    context = zmq.Context()
    router = context.socket(zmq.ROUTER)
    router.rcvhwm = 10
    be_server(router, user_key(key_path()))
    router.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 0)
    router.bind(f"ipc://{tmp_path}/log")
    sender = LogSender(f"ipc://{tmp_path}/log", "here")
    for _ in range(2000):
        sender.handle(log_record("x" * 10_000))
    assert sender._dropped > 0
    got = []
    while router.poll(300):
        got.append(router.recv_multipart()[1])
    sender.handle(log_record("after"))
    while router.poll(300):
        got.append(router.recv_multipart()[1])
    assert any(b"log records were dropped here" in data for data in got)
    assert len(got) < 2000
    sender.close()
    router.close()
    context.term()


def test_after_closing_nothing_is_sent(logger):
    with LogServer(logger) as server:
        sender = LogSender(server.address, "here")
        sender.close()
        sender.handle(log_record("late"))
        sender.close()
    server.close()


def test_a_server_that_cannot_listen_leaves_nothing():
    with pytest.raises(OSError, match="cannot listen at tcp"):
        LogServer(address="tcp://192.0.2.1:5000")
    pyacq_rpc.reset()  # waits until every socket is closed


def test_its_socket_file_is_only_for_this_user(logger):
    with LogServer(logger) as server:
        directory = os.path.dirname(server.address.removeprefix("ipc://"))
        assert os.stat(directory).st_mode & 0o077 == 0
    assert not os.path.exists(directory)
