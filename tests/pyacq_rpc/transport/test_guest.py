from __future__ import annotations

import os

import pytest

from pyacq_rpc.transport.guest import Guest
from pyacq_rpc.transport.keys import admitted, export_key, revoke_key, user_key


@pytest.fixture
def path(tmp_path):
    path = str(tmp_path / "key")
    export_key(path, "laptop")
    export_key(path, "desk")
    return path


@pytest.fixture
def guest(path):
    return Guest(user_key(path), admitted(path)["laptop"])


def test_it_may_stay_until_its_key_is_revoked(path, guest):
    assert guest.may_stay()
    revoke_key(path, "desk")
    assert guest.may_stay()
    revoke_key(path, "laptop")
    assert not guest.may_stay()
    assert not guest.may_stay()


def test_a_new_key_of_that_name_is_another_one(path, guest):
    assert guest.may_stay()
    revoke_key(path, "laptop")
    export_key(path, "laptop")
    assert not guest.may_stay()


def test_its_key_may_be_called_something_else(path, guest):
    assert guest.may_stay()
    folder = f"{path}.admitted"
    os.rename(f"{folder}/laptop", f"{folder}/the laptop on the roof")
    assert guest.may_stay()


def test_where_there_are_no_keys_any_more_it_may_not(path, guest):
    for name in admitted(path):
        revoke_key(path, name)
    os.rmdir(f"{path}.admitted")
    assert not guest.may_stay()


def test_a_key_that_was_never_let_in_may_not(path, guest):
    assert not Guest(user_key(path), b"x" * 40).may_stay()
    assert not Guest(user_key(path), b"").may_stay()
    assert not Guest(user_key(path)._replace(path=""), admitted(path)["laptop"]).may_stay()


def test_to_ask_again_takes_one_look_at_one_file(path, guest, monkeypatch):
    assert guest.may_stay()
    looks = []
    stat = os.stat
    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", lambda path: (looks.append(path), stat(path))[1])
        patch.setattr(os, "listdir", looks.append)
        stays = guest.may_stay()
    assert stays
    assert looks == [f"{path}.admitted/laptop"]
