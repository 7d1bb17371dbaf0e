from __future__ import annotations

import os
import re

import psutil
import pytest
from conftest import eventually

from pyacq_rpc import RPCClient
from pyacq_rpc.people.ipython.nodes import NodeRow, NodeTable, table_of
from pyacq_rpc.people.ipython.walking import name_in
from spawner import ProcessSpawner

ROW = NodeRow("<w>", "w", "7", "12:00:01", "30 MB", "alive", "tcp://127.0.0.1:5")


def only_row(variables):
    (row,) = table_of(variables, 10.0).rows
    return row


def test_a_node(node):
    row = only_row({"_": node, "w": node})
    assert row[:3] == ("worker", "w", str(node.pid))
    assert re.fullmatch(r"\d\d:\d\d:\d\d|\d{4}-\d\d-\d\d \d\d:\d\d", row.since)
    assert re.fullmatch(r"\d+ MB", row.memory)
    assert row[5:] == ("alive", node.address)


def test_a_busy_one(node):
    future = node._import("time").sleep(60, _sync="async")
    assert eventually(lambda: node.client.status().state == "busy")
    assert re.fullmatch(r"busy for [\d.]+ s with time\.sleep", only_row({}).state)
    assert not future.done()
    node.kill()


def test_one_that_was_killed(node):
    psutil.Process(node.pid).kill()
    assert eventually(lambda: node.proc.poll() is not None)
    code = node.proc.returncode
    assert only_row({"w": node}).state == f"ended with exit code {code}"
    assert table_of({}).rows == []  # it is nobody's any more


def test_a_server_that_it_is_connected_to(server, client):
    client.ping()
    row = only_row({"c": client})
    assert row == ("under-test", "c", "", "", "", "alive", server.address)


def test_several(node, server, client):
    client.ping()
    with ProcessSpawner(name="another"):
        assert [row.node for row in table_of({}, 10.0).rows] == ["another", "worker", "under-test"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_in_a_fork_they_are_not_shown(node):
    pid = os.fork()
    if not pid:
        os._exit(len(table_of({"w": node}).rows) + 10)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) in (10, 11)


def test_as_a_page():
    html = NodeTable([ROW])._repr_html_()
    assert "<td>&lt;w&gt;</td>" in html
    assert html.count("<tr>") == 2


def test_without_any():
    assert repr(NodeTable([])) == "no nodes: %spawn NAME starts one"
    assert NodeTable([])._repr_html_() == repr(NodeTable([]))


def test_the_variable_of_something():
    thing = RPCClient
    assert name_in({"_1": thing, "other": 5, "b": thing}, thing) == "b"
    assert name_in({"_1": thing}, thing) == ""
