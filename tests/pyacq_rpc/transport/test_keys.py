from __future__ import annotations

import os
import stat
import threading

import pytest
import zmq
import zmq.auth

from pyacq_rpc.transport.keys import (
    KEY_VARIABLE,
    admitted,
    export_key,
    key_path,
    load_key,
    user_key,
)


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "config" / "pyacq-rpc" / "key")


def test_it_is_made_on_first_use_and_kept(path):
    key = user_key(path)
    assert user_key(path) == key
    assert zmq.curve_public(key.secret) == key.public
    assert os.listdir(os.path.dirname(path)) == ["key"]


def test_only_the_user_can_read_it(path):
    previous = os.umask(0)
    try:
        user_key(path)
    finally:
        os.umask(previous)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode) == 0o700


def test_it_is_a_certificate_of_zmq(path):
    key = user_key(path)
    assert zmq.auth.load_certificate(path) == (key.public, key.secret)


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="needs a place where nobody can write")
def test_where_it_cannot_be_made():
    with pytest.raises(OSError, match="your key cannot be made") as caught:
        user_key("/proc/pyacq-rpc/key")
    assert "say where it can be, with PYACQ_RPC_KEY" in str(caught.value)


def test_all_who_make_it_at_once_have_the_same(path):
    keys = []
    threads = [threading.Thread(target=lambda: keys.append(user_key(path))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 20
    assert len(set(keys)) == 1


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o622, 0o660])
def test_one_that_others_can_read_or_write_is_refused(path, mode):
    user_key(path)
    os.chmod(path, mode)
    with pytest.raises(PermissionError, match="others can read the key"):
        user_key(path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give it")
def test_one_of_another_user_is_refused(path, monkeypatch):
    user_key(path)
    os.chown(path, 12345, 12345)
    with pytest.raises(PermissionError, match="belongs to another user"):
        user_key(path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\x00" * 100,
        "curve",
        'public-key = "abc"\nsecret-key = "def"',
        'public-key = "{0}"\nsecret-key = "{0}"',
        'public-key = "{1}"\nsecret-key = "{2}"',
    ],
)
def test_what_is_no_key_is_told_and_not_overwritten(path, text):
    key = user_key(path)
    text = text.format("\\" * 40, zmq.curve_keypair()[0].decode(), key.secret.decode())
    with open(path, "w") as file:
        file.write(text)
    with pytest.raises(ValueError, match="holds no key of pyacq-rpc; move it away"):
        user_key(path)
    with open(path) as file:
        assert file.read() == text


def test_where_it_is(monkeypatch, tmp_path):
    monkeypatch.setenv(KEY_VARIABLE, "~/lab.key")
    assert key_path() == os.path.expanduser("~/lab.key")
    assert key_path(tmp_path) == str(tmp_path)
    monkeypatch.delenv(KEY_VARIABLE)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert key_path() == str(tmp_path / "pyacq-rpc" / "key")
    monkeypatch.delenv("XDG_CONFIG_HOME")
    assert key_path() == os.path.expanduser("~/.config/pyacq-rpc/key")


def test_a_missing_one_that_is_only_looked_for(path):
    with pytest.raises(FileNotFoundError):
        load_key(path)
    assert not os.path.exists(path)


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="a user's profile is the user's")
def test_whom_others_may_have_added_is_not_admitted(path):
    own = user_key(path)
    export_key(path, "laptop")
    (other,) = admitted(path).values()
    assert own.admits(other)
    os.chmod(f"{path}.admitted", 0o777)
    with pytest.raises(PermissionError, match="others can write to"):
        own.admits(other)
    assert own.admits(own.public)
