from __future__ import annotations

import subprocess
import sys

import pytest

import pyacq_rpc
from pyacq_rpc import ServerDisconnected
from pyacq_rpc.__main__ import main
from pyacq_rpc.people.failing import CommandError


def refuse(capsys, *argv: str) -> str:
    """Run with arguments that are wrong; return what it says about them."""
    with pytest.raises(SystemExit) as exit_:
        main(argv)
    assert exit_.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


def test_without_a_command_it_says_that_one_is_needed(capsys):
    assert "COMMAND" in refuse(capsys)


def test_an_unknown_command_is_refused(capsys):
    assert "dance" in refuse(capsys, "dance")


@pytest.mark.parametrize("seconds", ["soon", "", "0", "-1", "nan", "inf", "1e9"])
def test_seconds_must_be_a_sensible_number(capsys, seconds):
    assert "argument --seconds:" in refuse(capsys, "demo", f"--seconds={seconds}")


def test_the_plot_needs_a_place_before_anything_starts(capsys, tmp_path):
    assert "is a directory" in refuse(capsys, "demo", "--output", str(tmp_path))
    lost = tmp_path / "nowhere" / "plot.png"
    assert "there is no directory" in refuse(capsys, "demo", "--output", str(lost))


def test_version_and_help(capsys):
    for argument, expected in (("--version", pyacq_rpc.__version__), ("--help", "demo")):
        with pytest.raises(SystemExit) as exit_:
            main([argument])
        assert exit_.value.code == 0
        assert expected in capsys.readouterr().out


def test_ctrl_c_is_an_exit_code_and_no_traceback(monkeypatch, capsys):
    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("pyacq_rpc.people.demo.run", interrupted)
    assert main(["demo"]) == 130
    assert capsys.readouterr().err == "Interrupted.\n"


def test_the_command_line_itself_imports_nothing_heavy():
    code = (
        "import sys, pyacq_rpc.__main__, pyacq_rpc.people.demo;"
        "print(*{'numpy', 'rich', 'pyqtgraph', 'qtpy', 'IPython'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""


def test_help_imports_nothing_slow():
    slow = {"asyncio", "ctypes", "psutil", "spawner", "subprocess", "tempfile"}
    code = (
        "import sys, zmq, msgpack; before = set(sys.modules)\n"
        "from pyacq_rpc.people.commands import make_parser; make_parser()\n"
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(run.stdout.split()) & slow


@pytest.mark.parametrize("error", [CommandError("no such thing"), ServerDisconnected("gone")])
def test_what_cannot_be_done_is_one_sentence(monkeypatch, capsys, error):
    def fail(*_: object) -> int:
        raise error

    monkeypatch.setattr("pyacq_rpc.people.demo.run", fail)
    assert main(["demo"]) == 1
    assert capsys.readouterr().err == f"pyacq-rpc demo: {error}\n"
