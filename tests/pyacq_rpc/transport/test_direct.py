from __future__ import annotations

import collections
import os
import socket
import stat
import subprocess
import sys

import pytest

from pyacq_rpc.transport.direct import DirectListener, connect_direct, private_directory


@pytest.fixture(autouse=True)
def directory(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path / "pyacq-rpc"


@pytest.fixture
def listener():
    listener = DirectListener()
    yield listener
    listener.close()


def test_a_client_that_shows_its_token_is_accepted(listener):
    token = listener.expect()
    theirs = connect_direct(listener.path, token)
    ours = listener.accept(token)
    theirs.send([b"hello"])
    inbox = collections.deque()
    ours.receive(inbox)
    assert inbox[0] == [b"hello"]
    ours.close()
    theirs.close()


def test_a_client_for_which_there_is_no_descriptor_is_accepted_when_there_is_one(listener):
    resource = pytest.importorskip("resource")
    token = listener.expect()
    theirs = connect_direct(listener.path, token)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            listener.accept(token)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    ours = listener.accept(token)
    assert ours is not None
    ours.close()
    theirs.close()


def test_clients_that_come_at_once_are_told_apart(listener):
    tokens = [listener.expect() for _ in range(120)]
    theirs = [connect_direct(listener.path, token) for token in tokens]
    ours = {token: listener.accept(token) for token in reversed(tokens)}
    for token, end in zip(tokens, theirs):
        end.send([token.encode()])
        inbox = collections.deque()
        ours[token].receive(inbox)
        assert inbox[0] == [token.encode()]
        ours[token].close()
        end.close()


def test_who_shows_no_token_in_time_may_show_it_later(listener):
    token = listener.expect()
    slow = socket.socket(socket.AF_UNIX)
    slow.connect(listener.path)
    assert listener.accept(token) is None
    slow.send(token.encode())
    stream = listener.accept(token)
    assert stream is not None
    stream.close()
    slow.close()


@pytest.mark.parametrize("shown", [b"x" * 32, b"\xff" * 32, b"short", b""])
def test_strangers_are_turned_away(listener, shown):
    token = listener.expect()
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(listener.path)
        stranger.sendall(shown)
        if not shown:
            stranger.shutdown(socket.SHUT_WR)
        assert listener.accept(token) is None
        stranger.settimeout(10)
        assert stranger.recv(1) == b""


def test_a_token_is_good_once(listener):
    token = listener.expect()
    first = connect_direct(listener.path, token)
    second = connect_direct(listener.path, token)
    stream = listener.accept(token)
    assert listener.accept(token) is None
    for end in (first, second, stream):
        end.close()


def test_a_client_that_is_forgotten_does_not_get_in(listener):
    tokens = [listener.expect() for _ in range(2)]
    ends = [connect_direct(listener.path, token) for token in tokens]
    stream = listener.accept(tokens[1])
    listener.forget(tokens[0])
    assert listener.accept(tokens[0]) is None
    for end in (*ends, stream):
        end.close()


def test_many_silent_strangers_keep_nobody_out(listener):
    strangers = [socket.socket(socket.AF_UNIX) for _ in range(100)]
    for stranger in strangers:
        stranger.connect(listener.path)
    token = listener.expect()
    theirs = connect_direct(listener.path, token)
    ours = listener.accept(token)
    assert ours is not None
    for end in (*strangers, ours, theirs):
        end.close()


def test_where_nobody_listens():
    assert connect_direct("/nowhere/at/all", "x" * 32) is None


def test_the_socket_is_removed(listener):
    assert stat.S_ISSOCK(os.stat(listener.path).st_mode)
    listener.close()
    assert not os.path.exists(listener.path)


def test_the_directory_is_the_users_own(directory):
    assert private_directory() == str(directory)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert private_directory() == str(directory)


def test_without_a_runtime_directory_it_is_the_temporary_one(monkeypatch, tmp_path):
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert private_directory() == str(tmp_path / f"pyacq-rpc-{os.getuid()}")


@pytest.mark.parametrize("plant", ["open", "link", "file"])
def test_a_planted_directory_is_refused(directory, tmp_path, plant):
    if plant == "open":
        directory.mkdir()
        directory.chmod(0o755)
    elif plant == "link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        directory.symlink_to(tmp_path / "elsewhere")
    else:
        directory.touch()
    with pytest.raises(PermissionError, match="somebody else may have put it there"):
        private_directory()


def test_sockets_of_processes_that_were_killed_are_swept_away(directory):
    code = (
        "import os; from pyacq_rpc.transport.direct import DirectListener\n"
        "print(DirectListener().path, flush=True); os._exit(0)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    left = run.stdout.strip()
    assert os.path.exists(left)
    own = DirectListener()
    other = DirectListener()
    assert not os.path.exists(left)
    assert os.path.exists(own.path)
    own.close()
    other.close()
