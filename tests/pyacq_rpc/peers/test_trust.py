"""Who gets in, seen from outside: other keys, other users, other programs, who listens in."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import zmq
from conftest import settled, with_key
from relay import Relay

from pyacq_rpc import AuthenticationError, CallTimeout, RPCClient, RPCServer, ServerDisconnected
from pyacq_rpc.peers.runtime import current
from pyacq_rpc.transport.keys import KEY_VARIABLE, Key, be_client
from spawner import NodeTemplate, ProcessSpawner

ROOT = Path(__file__).parents[3]

CALL = (
    "import sys, time; from pyacq_rpc import RPCClient; begin = time.monotonic()\n"
    "try: print(RPCClient(sys.argv[1]).ping())\n"
    "except Exception as error: print(type(error).__name__, error)\n"
    "print(time.monotonic() - begin)"
)


def call_as(address, begin="", **kwds):
    """Let another process call; return what it got, and after how many seconds."""
    run = subprocess.run(
        [sys.executable, "-c", begin + CALL, address], capture_output=True, text=True, **kwds
    )
    assert not run.stderr
    told, seconds = run.stdout.splitlines()
    return told, float(seconds)


def new_key():
    public, secret = zmq.curve_keypair()
    return Key(public, secret, public)


def test_the_same_user_just_gets_in(server):
    told, _ = call_as(server.address, cwd=ROOT)
    assert told == "pong"


def test_another_key_does_not(server, tmp_path):
    environment = {**os.environ, KEY_VARIABLE: str(tmp_path / "key")}
    told, seconds = call_as(server.address, cwd=ROOT, env=environment)
    assert told.startswith("AuthenticationError")
    assert "has another key than you" in told
    assert seconds < 3


AS_ANOTHER_USER = (
    # While it may still read where Python is installed.
    "import os, pyacq_rpc, pyacq_rpc.peers.client, pyacq_rpc.peers.watcher, traceback\n"
    "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can change")
def test_another_user_does_not(server, client):
    assert settled(client)
    home = Path("/tmp") / f"pyacq-rpc-test-home-{os.getpid()}"  # where that user can go
    home.mkdir()
    try:
        os.chown(home, 65534, 65534)
        environment = {"HOME": str(home), "TMPDIR": str(home), "PATH": os.environ["PATH"]}
        told, seconds = call_as(server.address, AS_ANOTHER_USER, env=environment, cwd=ROOT)
        assert told.startswith("AuthenticationError")
        assert "has another key than you" in told
        assert seconds < 3
        # Nor by the files of this one.
        environment[KEY_VARIABLE] = os.environ[KEY_VARIABLE]
        told, _ = call_as(server.address, AS_ANOTHER_USER, env=environment, cwd=ROOT)
        assert told.startswith("PermissionError")
    finally:
        shutil.rmtree(home)
    if server.listener._direct is None:
        return
    path = server.listener._direct.path
    code = f"{AS_ANOTHER_USER}import socket; socket.socket(socket.AF_UNIX).connect({path!r})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert "PermissionError" in run.stderr


@pytest.mark.parametrize("kind", ["no key", "own key", "server's public key only"])
def test_a_plain_peer_gets_no_word(server, client, kind):
    own = new_key()
    theirs = server.runtime.keys.own()
    with zmq.Context() as context, context.socket(zmq.DEALER) as stranger:
        stranger.linger = 0
        if kind == "own key":
            be_client(stranger, own)
        elif kind != "no key":
            be_client(stranger, own)
            stranger.curve_serverkey = theirs.public
        stranger.connect(server.address)
        stranger.send(b'[0,1,"stranger",{}]')
        assert not stranger.poll(500)
    assert client.ping() == "pong"
    assert len(server.listener.connections) == 1


def test_a_client_without_the_user_s_key_that_knows_the_server_s_is_told_why(server):
    """As it knows that one, libzmq can tell it what the gate has said."""
    theirs = server.runtime.keys.own()
    with zmq.Context() as context, context.socket(zmq.DEALER) as stranger:
        stranger.linger = 0
        be_client(stranger, new_key())
        stranger.curve_serverkey = theirs.public
        events = stranger.get_monitor_socket(zmq.EVENT_HANDSHAKE_FAILED_AUTH)
        stranger.connect(server.address)
        assert events.poll(10_000)
        stranger.disable_monitor()
        events.close()


def test_a_server_that_is_something_else_is_told_apart(client):
    with zmq.Context() as context, context.socket(zmq.ROUTER) as other:
        other.linger = 0
        port = other.bind_to_random_port("tcp://127.0.0.1")
        # Which of these it is depends on who notices first.
        told = "does not speak this protocol with a key|or is something else"
        with pytest.raises(AuthenticationError, match=told):
            RPCClient(f"tcp://127.0.0.1:{port}").ping()


def test_whoever_listens_in_sees_nothing(monkeypatch):
    monkeypatch.setenv("PYACQ_RPC_ROADS", "zmq")
    with ProcessSpawner() as proc:
        port = int(proc.address.rpartition(":")[2])
        with Relay(port) as relay:
            client = RPCClient(relay.address)
            client["secret of the lab"] = "plutonium"
            assert client["secret of the lab"] == "plutonium"
            client.close()
        assert len(relay.seen) > 1000
        for word in (b"secret of the lab", b"plutonium", b"set_item", b"get_item"):
            assert word not in relay.seen


def test_a_key_by_argument(tmp_path):
    server = RPCServer(key=tmp_path / "lab.key")
    thread = threading.Thread(target=server.run_forever)
    thread.start()
    try:
        there = f"tcp://127.0.0.1:{server.address.rpartition(':')[2]}"
        code = (
            "import sys; from pyacq_rpc import RPCClient;"
            "print(RPCClient(sys.argv[1], key=sys.argv[2]).ping())"
        )
        run = subprocess.run(
            [sys.executable, "-c", code, there, str(tmp_path / "lab.key")],
            capture_output=True,
            text=True,
            cwd=ROOT,
        )
        assert run.stdout == "pong\n", run.stderr
        told, _ = call_as(there, cwd=ROOT)
        assert told.startswith("AuthenticationError")
    finally:
        server.close()
        thread.join(10)


def test_nodes_have_the_key_of_their_parent(tmp_path):
    """Whatever their environment says."""
    with ProcessSpawner(env={KEY_VARIABLE: str(tmp_path / "other"), "HOME": "/"}) as proc:
        assert settled(proc.client)
    assert not (tmp_path / "other").exists()


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="needs to see other processes")
@pytest.mark.parametrize("forked", [False, True], ids=["started", "forked"])
def test_nodes_are_not_told_it_where_others_can_read(forked):
    secret = current().keys.own().secret
    with contextlib.ExitStack() as stack:
        template = stack.enter_context(NodeTemplate()) if forked else None
        node = stack.enter_context(ProcessSpawner(template=template))
        for process in (node, template) if template else (node,):
            for place in ("cmdline", "environ"):
                assert secret not in Path(f"/proc/{process.pid}/{place}").read_bytes()
        assert node._import("os").getpid() == node.pid


def test_a_server_that_ends_while_a_client_shakes_its_hand_is_not_called_names():
    """Nobody has said that the key is wrong."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"tcp://127.0.0.1:{listening.getsockname()[1]}"

        def drop():
            for _ in range(2):
                listening.accept()[0].close()

        thread = threading.Thread(target=drop)
        thread.start()
        client = RPCClient(address)
        thread.join(10)
        with pytest.raises(TimeoutError):
            client.ping(timeout=0.5)
        assert not client.disconnected()
        client.close()


def test_who_is_kept_from_letting_somebody_in_is_not_called_names(monkeypatch):
    """As by a call that does not let go of the interpreter for minutes."""
    monkeypatch.setattr("pyacq_rpc.transport.monitor.QUICK", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = RPCClient(f"tcp://127.0.0.1:{listening.getsockname()[1]}")
        for _ in range(5):
            listening.accept()[0].close()
        with pytest.raises(CallTimeout):
            client.ping(timeout=0.5)
        client.close()


def test_nobody_gets_in_when_nobody_judges(server):
    """The thread that does may have failed."""
    server.runtime.keys.close()
    with zmq.Context() as context, with_key(context.socket(zmq.DEALER)) as late:
        late.linger = 0
        late.connect(server.address)
        late.send(b'[0,1,"late",{}]')
        assert not late.poll(500)


def test_it_is_a_disconnection_for_those_who_care_no_further():
    assert issubclass(AuthenticationError, ServerDisconnected)
