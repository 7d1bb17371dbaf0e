from __future__ import annotations

import os
import subprocess
import sys

import pytest

from pyacq_rpc.people.programs import _short, program_of
from spawner import NodeTemplate, ProcessSpawner


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        (["/usr/bin/python3", "/home/me/lab.py", "-v"], "lab.py -v"),
        (["python", "-m", "lab.run", "x"], "lab.run x"),
        (["python", "-c", "print(1)"], "python -c ..."),
        (["/usr/bin/python3"], "python3"),
        (["/opt/viewer", "a  b"], "viewer a b"),
        ([], ""),
        (["x" * 100], "x" * 60),
    ],
)
def test_a_command_in_short(command, shown):
    assert _short(command) == shown


def test_a_node_is_shown_as_its_parents():
    with ProcessSpawner() as node:
        assert program_of(node.pid).startswith("node of ")
        assert program_of(node.pid).endswith(f"({os.getpid()})")


def test_a_forked_one_too():
    with NodeTemplate() as template, ProcessSpawner(template=template) as node:
        assert program_of(node.pid).endswith(f"({os.getpid()})")


def test_another_program():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        assert program_of(other.pid) in ("python -c ...", "")
        other.stdin.close()
    assert program_of(other.pid) == ""
