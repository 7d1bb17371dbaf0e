from __future__ import annotations

import json
import os
import sys
import threading

import pytest
from command_line import PATIENCE, PROGRAM
from conftest import fixed_address, serving
from terminal import Terminal

from pyacq_rpc.people.watching import Watches

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    monkeypatch.setattr("pyacq_rpc.people.watching.PATIENCE", 30.0)


def test_once(server, prints):
    head, row = prints("top", "--once", "-i", "0.1").splitlines()
    assert head.split() == ["NAME", "PID", "STATE", "RATE", "LATENCY", "CPU", "MEMORY", "ADDRESS"]
    for told in ("under-test", str(os.getpid()), "alive", "s ", " %", " MB", server.address):
        assert told in row


def test_json_of_one_server(server, other_server, prints):
    (found,) = json.loads(prints("top", "--json", "-i", "0.1", "other"))
    assert found["address"] == other_server.address
    assert found["state"] == "alive"
    assert 0 < found["latency"] < 60
    assert found["memory"] > 1e6
    assert found["cpu"] >= 0


def test_what_is_no_server_of_ours_has_no_process(prints):
    (found,) = json.loads(prints("top", "--json", "-i", "0.1", "tcp://127.0.0.1:1"))
    assert (found["state"], found["pid"], found["cpu"]) == ("dead", None, None)


def test_a_name_that_nobody_has(fails):
    assert "is called nobody" in fails("top", "nobody")


def test_without_a_terminal_it_is_shown_once(server, prints):
    assert len(prints("top", "-i", "0.1").splitlines()) == 2


def test_the_live_table_needs_rich(fails, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install 'pyacq-rpc[cli]'" in fails("top")


def test_live(serve):
    """A server comes, is busy, dies, and goes; then q is pressed."""
    arguments = [*PROGRAM, "top", "-i", "0.2"]
    with Terminal(arguments, {"COLUMNS": "150", "LINES": "20"}) as terminal:
        terminal.wait_for("0 servers", PATIENCE)
        lab = serve("lab:camera")
        terminal.wait_for(rf"camera +{lab.pid} +alive", PATIENCE)
        with Terminal([*PROGRAM, "call", lab.address, "camera.expose", "60"], {}):
            terminal.wait_for(r"camera +\d+ +busy: camera\.expose \d", PATIENCE)
            lab.process.kill()
            terminal.wait_for(rf"camera +{lab.pid} +dead", PATIENCE)
        terminal.wait_for("0 servers", PATIENCE)
        terminal.press("q")
        assert terminal.process.wait(PATIENCE) == 0


class TestWatches:
    def wait_for(self, watches, state):
        watched = threading.Event()
        for _ in range(600):
            found = watches.current()
            if found and found[0].sample and found[0].sample.probe.state == state:
                return found[0]
            watched.wait(0.05)
        raise AssertionError(f"it did not become {state}")

    def test_a_server_that_closes(self, other_server):
        with Watches([other_server.address], 0.05) as watches:
            self.wait_for(watches, "alive")
            other_server.close()
            assert self.wait_for(watches, "dead").ended is not None

    def test_one_that_comes_back_at_the_address_that_was_named(self):
        address = fixed_address()
        with Watches([address], 0.05) as watches:
            with serving(address):
                self.wait_for(watches, "alive")
            self.wait_for(watches, "dead")
            with serving(address):
                assert self.wait_for(watches, "alive").ended is None
