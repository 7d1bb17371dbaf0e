from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import threading

import pytest

from pyacq_rpc import RPCServer
from pyacq_rpc.__main__ import main
from pyacq_rpc.people import checks
from pyacq_rpc.people.reaching import diagnose
from pyacq_rpc.transport.keys import KEY_VARIABLE
from pyacq_rpc.wire import messages

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def examined(monkeypatch):
    """Leave out what starts nodes."""
    monkeypatch.setattr(checks, "check_node", lambda road: checks.Finding("ok", road, "left out"))


class TestReport:
    def test_all_is_well(self, prints):
        told = prints("doctor")
        assert {line[:4] for line in told.splitlines()} <= {"ok  ", "    "}
        for about in ("versions", "encryption", "key", "directory", "direct road", "ZeroMQ"):
            assert f"ok    {about}: " in told

    @pytest.mark.usefixtures("examined")
    def test_json(self, prints):
        found = json.loads(prints("doctor", "--json"))
        assert all(finding["level"] == "ok" for finding in found)
        assert found[0].keys() == {"level", "about", "text", "advice"}

    @pytest.mark.usefixtures("examined")
    def test_what_is_wrong_is_an_exit_code(self, capsys):
        assert main(["doctor", "tcp://127.0.0.1:1"]) == 1
        told = capsys.readouterr().out
        assert "fail  tcp://127.0.0.1:1: nobody: nobody listens at" in told


class TestChecks:
    def test_a_key_that_others_can_read(self, tmp_path, monkeypatch):
        path = tmp_path / "key"
        path.write_text("")
        path.chmod(0o644)
        monkeypatch.setenv(KEY_VARIABLE, str(path))
        (found,) = checks.check_key()
        assert found.level == "fail"
        assert "others can read" in found.text
        assert KEY_VARIABLE in found.advice

    def test_no_key_yet(self, tmp_path, monkeypatch):
        monkeypatch.setenv(KEY_VARIABLE, str(tmp_path / "new" / "key"))
        (found,) = checks.check_key()
        assert (found.level, "none yet" in found.text) == ("ok", True)

    def test_none_can_be_made(self, monkeypatch):
        monkeypatch.setenv(KEY_VARIABLE, "/proc/nowhere/key")
        monkeypatch.setattr(os, "access", lambda *_: False)
        (found,) = checks.check_key()
        assert (found.level, "none can be made" in found.text) == ("fail", True)

    def test_a_directory_that_others_can_enter(self, runtime_directory):
        (runtime_directory / "pyacq-rpc").mkdir(mode=0o755)
        (found,) = checks.check_directory()
        assert found.level == "fail"

    def test_files_of_killed_processes(self, serve, runtime_directory):
        lab = serve("lab")
        lab.process.kill()
        lab.process.wait(10)
        (found,) = checks.check_directory()
        assert found.level == "warn"
        assert "has 2 files of processes that were killed" in found.text

    def test_few_descriptors(self, monkeypatch):
        monkeypatch.setattr("resource.getrlimit", lambda which: (256, 4096))
        found = checks.check_descriptors()
        assert found.level == "warn"
        assert "ulimit -n 4096" in found.advice

    def test_an_old_libzmq(self, monkeypatch):
        monkeypatch.setattr("zmq.zmq_version_info", lambda: (4, 3, 2))
        assert "fail" in [found.level for found in checks.check_versions()]

    def test_no_encryption(self, monkeypatch):
        monkeypatch.setattr("zmq.has", lambda what: False)
        assert checks.check_curve().level == "fail"

    def test_the_direct_road_is_turned_off(self, monkeypatch):
        monkeypatch.setenv("PYACQ_RPC_ROADS", "zmq")
        assert checks.check_node("direct").level == "warn"

    def test_no_node_can_be_started(self, monkeypatch):
        monkeypatch.setattr("sys.executable", "/nowhere/python")
        found = checks.check_node("zmq")
        assert found.level == "fail"
        assert "\n" not in found.text


class TestDiagnosis:
    def state(self, address, timeout=0.5):
        return diagnose(address, timeout).state

    def test_alive(self, server):
        assert self.state(server.address, 10) == "alive"

    def test_busy(self, serve):
        lab = serve("lab:camera")
        from pyacq_rpc import RPCClient

        future = RPCClient(lab.address)["camera"].expose(60, _sync="async")
        found = diagnose(lab.address, 10)
        while found.state != "busy":
            found = diagnose(lab.address, 10)
        assert "is busy with camera.expose for " in found.text
        assert not future.done()

    def test_nobody(self, tmp_path):
        assert self.state("tcp://127.0.0.1:1") == "nobody"
        assert self.state(f"ipc://{tmp_path}/socket") == "nobody"

    def test_no_such_host(self):
        assert self.state("tcp://nowhere.invalid:5000") in ("unknown host", "silent")

    def test_out_of_reach(self, monkeypatch):
        def fail(*_: object) -> bytes:
            raise OSError(101, "Network is unreachable")

        monkeypatch.setattr("pyacq_rpc.people.reaching.first_byte", fail)
        found = diagnose("tcp://192.0.2.1:5000")
        assert found.state == "unreachable"
        assert "Network is unreachable" in found.text

    def test_another_key(self, serve, tmp_path, monkeypatch):
        lab = serve("lab")
        monkeypatch.setenv(KEY_VARIABLE, str(tmp_path / "another key"))
        found = diagnose(lab.address, 10)
        assert found.state == "refused"
        assert "key" in found.text

    def test_frozen(self, serve):
        lab = serve("lab")
        os.kill(lab.pid, signal.SIGSTOP)
        found = diagnose(lab.address, 0.3)
        assert found.state == "frozen"
        assert f"kill -CONT {lab.pid}" in found.advice
        os.kill(lab.pid, signal.SIGCONT)

    def test_another_version(self, serve, monkeypatch):
        lab = serve("lab")
        monkeypatch.setattr(messages, "VERSION", 99)
        found = diagnose(lab.address, 10)
        assert found.state == "other version"
        assert "99 is not spoken here, but 1" in found.text

    @pytest.mark.parametrize(("says", "state"), [(b"SSH-2.0", "foreign"), (b"", "silent")])
    def test_something_else(self, says, state):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            address = f"tcp://127.0.0.1:{listener.getsockname()[1]}"

            def answer():
                connection, _ = listener.accept()
                with connection, contextlib.suppress(ConnectionError):
                    connection.sendall(says)
                    connection.recv(1)

            thread = threading.Thread(target=answer)
            thread.start()
            assert self.state(address) == state
            thread.join(10)

    def test_what_has_closed_meanwhile(self, monkeypatch, server):
        monkeypatch.setattr("pyacq_rpc.people.reaching.first_byte", lambda *_: b"\xff")
        assert self.state("tcp://127.0.0.1:1", 0.2) == "gone"


class TestNames:
    def test_several_of_one_name(self, fails):
        servers = [RPCServer(name="twin") for _ in range(2)]
        told = fails("shell", "twin")
        assert told.startswith("several servers are called twin; say which: tcp://")
        for server in servers:
            server.close()

    @pytest.mark.parametrize(
        ("server", "told"),
        [
            ("nobody", "no server of yours on this host is called nobody"),
            ("inproc://x", "is within one process"),
            ("tcp://127.0.0.1:*", "where one may listen"),
            ("http://x", "is not an address"),
        ],
    )
    def test_what_is_none(self, fails, server, told):
        assert told in fails("shell", server)


@pytest.mark.parametrize(
    "command", [["ls"], ["top", "--once"], ["call", "camera", "x"], ["shell", "camera"]]
)
def test_a_key_that_cannot_be_used_is_one_sentence(serve, fails, tmp_path, monkeypatch, command):
    serve("lab:camera")
    (tmp_path / "broken").write_text("no key")
    (tmp_path / "broken").chmod(0o600)
    monkeypatch.setenv(KEY_VARIABLE, str(tmp_path / "broken"))
    assert "holds no key of pyacq-rpc" in fails(*command)
