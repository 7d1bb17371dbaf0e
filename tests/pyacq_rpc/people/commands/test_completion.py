from __future__ import annotations

import shutil
import subprocess

import pytest
from command_line import PATIENCE

from pyacq_rpc.people.commands import make_parser
from pyacq_rpc.people.commands.completion import script

pytestmark = pytest.mark.timeout(180)

TRY = """
{script}
COMP_WORDS=({words} "{last}") COMP_CWORD={index}
_pyacq_rpc 2>/dev/null
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def complete(tmp_path):
    """Have bash complete a line; return what it offers."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash")

    def run(line: str, program: str = "pyacq-rpc") -> list[str]:
        *words, last = line.split(" ")
        code = TRY.format(
            script=script(make_parser(), "bash"),
            words=" ".join([program, *words]),
            last=last,
            index=len(words) + 1,
        )
        told = subprocess.run([bash, "-c", code], capture_output=True, text=True, check=True)
        assert told.stderr == ""
        return told.stdout.split()

    return run


@pytest.fixture
def program(tmp_path):
    """The program, as bash is to run it."""
    import sys

    path = tmp_path / "pyacq-rpc"
    path.write_text(f'#!/bin/sh\nexec {sys.executable} -m pyacq_rpc "$@"\n')
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("c", ["call", "console", "completion"]),
        ("--v", ["--version"]),
        ("key ", ["show", "export", "import", "revoke"]),
        ("key ex", ["export"]),
        ("completion z", ["zsh"]),
        ("serve --q", ["--qt"]),
        ("call a b --", ["--help", "--string", "--timeout", "--verbose", "--json"]),
        ("nosuch ", []),
        ("serve lab", []),
    ],
)
def test_words(complete, line, offered):
    assert complete(line) == offered


def test_every_command_is_offered(complete):
    assert {"serve", "call", "shell", "ls", "top", "logs", "doctor", "bench"} <= set(complete(""))


def test_what_is_there(complete, program, server):
    server["camera"] = {"a": 1}
    server["counter"] = 1
    assert complete("shell ", program) == ["under-test"]
    assert complete("top one under", program) == ["under-test"]
    assert complete("call under-test c", program) == ["camera", "counter"]
    assert complete("call --json under-test camera.k", program) == ["camera.keys"]
    assert complete("call nobody c", program) == []


def test_what_cannot_be_completed_is_no_error(prints):
    assert prints("completion", "servers") == ""
    assert prints("completion", "targets", "nobody") == ""
    assert prints("completion", "targets", "tcp://127.0.0.1:1", "camera.") == ""


def test_a_line_that_is_typed(server, program):
    """In a bash of its own, with Tab."""
    import os

    from terminal import Terminal

    where = os.path.dirname(program)
    environment = {"PATH": f"{where}:{os.environ['PATH']}", "PS1": "$ ", "INPUTRC": os.devnull}
    with Terminal(["bash", "--norc", "--noprofile", "-i"], environment) as terminal:
        terminal.type('eval "$(pyacq-rpc completion bash)"; echo ready')
        terminal.wait_for(r"echo ready\s+ready", PATIENCE)
        terminal.press("pyacq-rpc sh\tund\t")
        terminal.wait_for("pyacq-rpc shell under-test", PATIENCE)


def test_zsh_runs_that_of_bash(prints):
    told = prints("completion", "zsh")
    first, rest = told.split("\n", 1)
    assert first == "autoload -U +X bashcompinit && bashcompinit"
    assert rest == prints("completion", "bash")
    zsh = shutil.which("zsh")
    if zsh:
        code = f"autoload -U compinit && compinit -u\n{told}"
        subprocess.run([zsh, "-fc", code], check=True, timeout=30)
