from __future__ import annotations

import signal
import sys

import pytest
from command_line import PATIENCE
from conftest import eventually

from pyacq_rpc import AccessDenied, RemoteCallException, RPCClient
from pyacq_rpc.__main__ import main

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """A directory with modules that cannot be served."""
    (tmp_path / "fine.py").write_text("class A:\n    def __init__(self, x): pass\n")
    (tmp_path / "needy.py").write_text("import nosuchmodule\n")
    (tmp_path / "broken.py").write_text("1 / 0\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*sys.path])


class TestServing:
    def test_an_object_as_it_is(self, serve):
        lab = serve("lab:camera")
        client = RPCClient(lab.address)
        assert client.keys() == ["camera"]
        assert client["camera"].expose(0) == [0, "red"]
        assert lab.name == "camera"

    def test_what_a_call_gives_under_another_name(self, serve):
        client = RPCClient(serve("lab:Camera()", "--name", "main").address)
        assert client.keys() == ["main"]
        assert client["main"].gain._get_value() == 2

    def test_a_whole_module(self, serve):
        assert RPCClient(serve("lab").address)["lab"].camera.gain._get_value() == 2

    def test_only_what_is_exposed(self, serve):
        camera = RPCClient(serve("lab:camera", "--service").address)["camera"]
        assert camera.expose(0) == [0, "red"]
        with pytest.raises(AccessDenied):
            camera.fail()

    def test_at_an_address(self, serve, tmp_path):
        address = f"ipc://{tmp_path}/socket"
        assert serve("lab", "--address", address).address == address

    @pytest.mark.qt
    def test_in_an_application_of_qts(self, serve):
        lab = serve("qtpy.QtWidgets:QLabel()", "--qt", "--name", "label")
        label = RPCClient(lab.address)["label"]
        label.setText("hello")
        assert label.text() == "hello"
        assert lab.end(signal.SIGTERM)[0] == 0


class TestEnding:
    @pytest.mark.parametrize(
        ("signum", "code", "told"),
        [(signal.SIGTERM, 0, ""), (signal.SIGINT, 130, "Interrupted.\n")],
    )
    def test_by_a_signal(self, serve, signum, code, told):
        lab = serve("lab")
        assert lab.end(signum) == (code, told)

    def test_by_a_client(self, serve):
        lab = serve("lab")
        assert RPCClient(lab.address).close_server(timeout=10)
        assert lab.wait() == (0, "")

    def test_sigterm_lets_a_call_end(self, serve):
        lab = serve("lab:camera")
        client = RPCClient(lab.address)
        future = client["camera"].expose(2, _sync="async")
        assert eventually(lambda: client.status().state == "busy", PATIENCE)
        assert lab.end(signal.SIGTERM) == (0, "")
        assert future.result(10) == [2, "red"]

    @pytest.mark.parametrize("options", [[], pytest.param(["--qt"], marks=pytest.mark.qt)])
    def test_a_second_one_does_not(self, serve, options):
        lab = serve("lab:camera", *options)
        client = RPCClient(lab.address)
        future = client["camera"].expose(60, _sync="async")
        assert eventually(lambda: client.status().doing == "camera.expose", PATIENCE)
        lab.process.send_signal(signal.SIGTERM)
        with pytest.raises(TimeoutError):  # it is the call that goes on
            future.result(0.5)
        assert lab.end(signal.SIGTERM)[0] == 0
        assert "SystemExit" in str(future.exception(10).type_name)

    def test_an_interrupt_that_python_misses_is_sent_again(self, serve, tmp_path):
        begun = tmp_path / "begun"
        client = RPCClient(serve("lab").address)
        signalling = client._import("tests.signalling")
        signalling.miss_one()
        told = signalling.sleep_and_clear_up(60, str(begun), _sync="async")
        assert eventually(begun.exists, PATIENCE)
        assert client.interrupt()
        assert told.result(PATIENCE) == "cleared up"

    def test_ctrl_c_ends_a_call_too(self, serve):
        lab = serve("lab:camera")
        client = RPCClient(lab.address)
        future = client["camera"].expose(60, _sync="async")
        assert eventually(lambda: client.status().doing == "camera.expose", PATIENCE)
        assert lab.end(signal.SIGINT) == (130, "Interrupted.\n")
        assert isinstance(future.exception(10), RemoteCallException)


@pytest.mark.usefixtures("lab")
class TestFailing:
    @pytest.mark.parametrize(
        ("what", "told"),
        [
            ("nosuch:x", "cannot load nosuch:x: ModuleNotFoundError: No module named 'nosuch'"),
            ("fine:B", "cannot load fine:B: AttributeError: module 'fine' has no attribute 'B'"),
            ("fine:A()", "cannot load fine:A(): TypeError: A.__init__() missing 1 required"),
            (":x", "':x' names no object; give one like lab:camera"),
            ("", "'' names no object"),
        ],
    )
    def test_what_is_not_there(self, fails, what, told):
        assert fails("serve", what).startswith(told)

    @pytest.mark.parametrize(
        ("module", "line"), [("needy", "import nosuchmodule"), ("broken", "1 / 0")]
    )
    def test_what_fails_itself_is_shown_with_its_line(self, capsys, module, line):
        assert main(["serve", module]) == 1
        told = capsys.readouterr().err
        assert told.startswith("Traceback")
        assert line in told
        assert "importlib" not in told
        assert f"pyacq-rpc serve: cannot load {module}: " in told.splitlines()[-1]

    def test_where_nobody_can_listen(self, fails):
        assert "cannot listen at" in fails("serve", "fine", "--address", "tcp://192.0.2.1:5")

    @pytest.mark.qt
    def test_without_a_display(self, fails, monkeypatch):
        for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
            monkeypatch.delenv(name, raising=False)
        assert "there is no display for a GUI" in fails("serve", "fine", "--qt")

    def test_without_qt(self, fails, monkeypatch):
        monkeypatch.setitem(sys.modules, "qtpy", None)
        for name in list(sys.modules):
            if name.startswith("pyacq_rpc.qt"):
                monkeypatch.delitem(sys.modules, name)
        assert "pyacq-rpc[qt]" in fails("serve", "fine", "--qt")
