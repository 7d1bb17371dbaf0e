from __future__ import annotations

import os
import signal
import subprocess
import sys

import psutil
import pytest

from pyacq_rpc import RPCClient
from pyacq_rpc.__main__ import main
from spawner import LogSender


def refuse(capsys, *argv):
    with pytest.raises(SystemExit) as exit_:
        main(argv)
    assert exit_.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["nowhere"], "'nowhere' is not an address"),
        (["--listen", "tcp://127.0.0.1"], "is not an address"),
        (["--keep", "0"], "a number from 1 to 10000000, not '0'"),
        (["--keep", "many"], "a number from 1"),
        (["ipc:///a", "--listen", "ipc:///b"], "not allowed with"),
    ],
)
def test_wrong_arguments_are_refused(capsys, argv, expected):
    assert expected in refuse(capsys, "logs", *argv)


@pytest.mark.parametrize("command", ["logs", "console"])
class TestWithoutWhatItNeeds:
    def run(self, command, code="", **env):
        kept = {name: value for name, value in os.environ.items() if "DISPLAY" not in name}
        kept.pop("QT_QPA_PLATFORM", None)
        code = f"{code}\nfrom pyacq_rpc.__main__ import main; raise SystemExit(main(['{command}']))"
        run = subprocess.run(
            [sys.executable, "-c", code],
            env={**kept, **env},
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert run.returncode == 1, run.stderr
        assert run.stdout == ""
        return run.stderr

    def test_it_says_that_there_is_no_display(self, command):
        told = self.run(command)
        assert told.startswith(f"pyacq-rpc {command}: there is no display for a window")
        assert told.count("\n") == 1

    def test_it_says_that_there_is_no_qt(self, command):
        told = self.run(command, "import sys; sys.modules['qtpy'] = None", DISPLAY=":0")
        assert "pip install 'pyacq-rpc[qt]'" in told
        assert "Traceback" not in told


class TestLogs:
    @pytest.fixture
    def logs(self):
        """The command, listening."""
        with subprocess.Popen(
            [sys.executable, "-m", "pyacq_rpc", "logs"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as logs:
            yield logs
            logs.kill()

    @pytest.mark.timeout(60)
    @pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    def test_they_end_with_a_signal_and_leave_nothing(self, logs, number, code):
        address = logs.stdout.readline().removeprefix("Listening: log_addr = ").rstrip()
        path = address.removeprefix("ipc://")
        assert os.path.exists(path)
        LogSender(address, "here").close()
        logs.send_signal(number)
        assert logs.wait(30) == code
        assert "Traceback" not in logs.stderr.read()
        assert not os.path.exists(os.path.dirname(path))


class TestConsole:
    @pytest.fixture
    def console(self, tmp_path):
        """The command, and the address that it shows."""
        with subprocess.Popen(
            [sys.executable, "-m", "pyacq_rpc", "console"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "IPYTHONDIR": str(tmp_path)},
        ) as console:
            console.address = console.stdout.readline().split()[-1]
            console.nodes = psutil.Process(console.pid).children(recursive=True)
            assert console.nodes
            yield console
            console.kill()

    def check_end(self, console, code):
        assert console.wait(60) == code
        told = console.stderr.read()
        assert "Traceback" not in told
        assert "pending" not in told
        _, alive = psutil.wait_procs(console.nodes, 10)
        assert not alive

    @pytest.mark.timeout(120)
    def test_it_ends_with_its_window(self, console):
        client = RPCClient(console.address)
        client["from_afar"] = 42
        window = client._import("pyacq_rpc.people.console.window").Console._shown
        window.execute("server['twice'] = from_afar * 2; exit()")
        self.check_end(console, 0)
        client.close()

    @pytest.mark.timeout(120)
    def test_it_ends_with_ctrl_c(self, console):
        console.send_signal(signal.SIGINT)
        self.check_end(console, 130)

    def test_it_says_what_is_not_installed(self, monkeypatch, capsys):
        monkeypatch.setitem(sys.modules, "qtconsole", None)
        assert main(["console"]) == 1
        expected = "pyacq-rpc console: needs qtconsole: pip install 'pyacq-rpc[console]'\n"
        assert capsys.readouterr().err == expected
