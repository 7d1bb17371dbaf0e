"""The questions of the comparison, put to ourselves; the other projects need not be installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("numpy")

from benchmarks.comparison.__main__ import answer, main, serving
from benchmarks.comparison.peers import PEERS
from benchmarks.comparison.questions import QUESTIONS

OURS = "pyacq-rpc"


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("values", "'pair': 'tuple', 'array': 'ndarray', 'item': 'ObjectProxy'"),
        ("writable", "ndarray, writable: True"),
        ("error", "a ValueError: True, remote traceback shown"),
        ("killed", "raises ServerDisconnected"),
        ("client_killed", "1 object before, 0 three seconds after"),
        ("callback", "41, after"),
        ("repr_when_frozen", "<ObjectProxy for"),
        ("orphan", "after its parent"),
    ],
)
def test_a_question_is_answered(question: str, found: str):
    assert found in answer(OURS, question)


def test_a_server_that_finds_its_port_taken_is_given_another(tmp_path: Path):
    code = (
        "import pathlib, time; first = pathlib.Path('first')\n"
        "if first.exists(): print('ready', flush=True); time.sleep(60)\n"
        "first.touch(); raise OSError('taken')"
    )
    with serving([sys.executable, "-c", f"import os; os.chdir({str(tmp_path)!r})\n{code}"]) as (
        server,
        port,
    ):
        assert server.poll() is None
        assert server.args[-2:] == ["--serve", str(port)]
    assert server.poll() is not None


def test_one_that_does_not_start_is_told():
    with pytest.raises(RuntimeError, match="did not start"), serving([sys.executable, "-c", ""]):
        pass


def test_what_cannot_be_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("benchmarks.comparison.__main__.PATIENCE", 2.0)
    assert answer(OURS, "busy") == "nothing after 2 s"


def test_each_question_says_what_it_asks():
    assert all(question.__doc__ for question in QUESTIONS.values())


def test_what_is_not_installed_is_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["zerorpc"]) == 0
    assert capsys.readouterr().out == "zerorpc is left out: it is not installed\n"


def test_an_unknown_project_is_refused(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main(["nobody"])
    assert "there is no nobody" in capsys.readouterr().err
    assert OURS in PEERS
