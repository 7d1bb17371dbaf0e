from __future__ import annotations

import json
import os
import signal
import subprocess
import threading

import pytest
from command_line import PATIENCE, PROGRAM
from conftest import eventually
from processes import gone
from terminal import Terminal

from pyacq_rpc import RPCServer
from pyacq_rpc.__main__ import main
from pyacq_rpc.transport.keys import KEY_VARIABLE
from spawner import ProcessSpawner

pytestmark = pytest.mark.timeout(180)


def test_nothing_is_listed(capsys, prints):
    assert main(["ls"]) == 0
    ended = capsys.readouterr()
    assert (ended.out, ended.err) == ("", "No servers of yours are listed on this host.\n")
    assert json.loads(subprocess.check_output([*PROGRAM, "ls", "--json"])) == []


def test_a_server(server, prints):
    server["camera"], server["wheel"] = 1, 2
    head, row = prints("ls", "-t", "30").splitlines()
    assert head.split() == ["NAME", "ADDRESS", "PID", "STATE", "AGE", "PROGRAM", "PUBLISHED"]
    for told in ("under-test", server.address, str(os.getpid()), " alive ", "camera, wheel"):
        assert told in row


def test_json(serve, prints):
    lab = serve("lab:camera")
    (found,) = json.loads(prints("ls", "--json", "-t", "30"))
    assert found.pop("since") > 1e9
    assert found == {
        "name": "camera",
        "address": lab.address,
        "pid": lab.pid,
        "program": "pyacq_rpc serve --json lab:camera",
        "state": "alive",
        "doing": None,
        "seconds": None,
        "published": ["camera"],
    }


def test_a_node_is_its_parents(prints):
    with ProcessSpawner(name="worker") as node:
        (found,) = json.loads(prints("ls", "--json", "-t", "30"))
        assert found["pid"] == node.pid
        assert found["program"].startswith("node of ")
        assert found["program"].endswith(f"({os.getpid()})")


def test_a_busy_server_without_names(serve, prints, start):
    lab = serve("lab:camera")
    start("call", lab.address, "camera.expose", "60")

    def found():
        return json.loads(prints("ls", "--json", "-t", "1"))[0]

    assert eventually(lambda: found()["state"] == "busy", PATIENCE)
    assert prints("ls", "-t", "1").splitlines()[1].endswith(" ?")


def test_a_frozen_one(serve, prints):
    lab = serve("lab:camera")
    os.kill(lab.pid, signal.SIGSTOP)
    assert " unresponsive " in prints("ls", "-t", "0.2")
    os.kill(lab.pid, signal.SIGCONT)


def test_ctrl_c_waits_for_nobody(serve):
    lab = serve("lab:camera")
    os.kill(lab.pid, signal.SIGSTOP)
    with Terminal([*PROGRAM, "ls", "--timeout", "60"], {}) as terminal:
        terminal.wait_for("asking", PATIENCE)
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.process.wait(40) == 130
    os.kill(lab.pid, signal.SIGCONT)


def test_one_that_was_killed_is_not_there(serve, capsys):
    lab = serve("lab:camera")
    lab.process.kill()
    lab.process.wait(10)
    assert gone(lab.pid)
    assert main(["ls"]) == 0
    assert capsys.readouterr().out == ""


def test_one_with_another_key(serve, prints, tmp_path, monkeypatch):
    serve("lab:camera")
    monkeypatch.setenv(KEY_VARIABLE, str(tmp_path / "another key"))
    assert " refused " in prints("ls", "-t", "30")


def test_many(prints):
    servers = [RPCServer(name=f"server-{number}") for number in range(40)]
    threads = [threading.Thread(target=server.run_forever) for server in servers]
    for thread in threads:
        thread.start()
    rows = prints("ls", "-t", "20").splitlines()[1:]
    assert [row.split()[0] for row in rows] == [server.name for server in servers]
    assert all(" alive " in row for row in rows)
    for server, thread in zip(servers, threads, strict=True):
        server.close()
        thread.join(10)


def test_what_is_listed_and_not_there(prints, runtime_directory, capsys):
    directory = runtime_directory / "pyacq-rpc"
    directory.mkdir(mode=0o700)
    ghost = {
        "name": "ghost", "address": "tcp://127.0.0.1:1", "pid": os.getpid(), "server_id": "x",
        "since": 0,
    }  # fmt: skip
    (directory / f"{os.getpid()}-x.json").write_text(json.dumps(ghost))
    assert json.loads(prints("ls", "--json", "-t", "30")) == []


def test_a_directory_that_others_can_enter(runtime_directory, fails):
    (runtime_directory / "pyacq-rpc").mkdir(mode=0o755)
    assert "somebody else may have put it there" in fails("ls")


def test_nobody_reads_the_end(serve, start):
    serve("lab:camera")
    ls = start("ls")
    ls.stdout.close()
    assert ls.stderr.read() == ""
    assert ls.wait(PATIENCE) == 141
