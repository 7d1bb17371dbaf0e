"""The page about the command line shows what the commands print."""

from __future__ import annotations

import doctest
import os
import re
import shlex
import subprocess
import textwrap
from pathlib import Path

import pytest
from command_line import PROGRAM, Serving
from processes import ROOT

from pyacq_rpc.__main__ import main
from pyacq_rpc.people.commands import make_parser

PAGE = (Path(__file__).parents[2] / "docs" / "guide" / "command_line.rst").read_text()

RUN = ("call", "ls", "doctor")
"""What is run here; the others draw live pictures, wait for keys, or take their time."""


def examples():
    """Each command on the page, and what it is said to print."""
    for block in re.findall(r"code-block:: console\n\n((?:   .*\n|\n)+)", PAGE):
        for example in re.split(r"^\$ ", textwrap.dedent(block), flags=re.MULTILINE)[1:]:
            command, _, printed = example.partition("\n")
            if command.startswith("pyacq-rpc "):
                yield command.removeprefix("pyacq-rpc "), printed.strip()


@pytest.mark.parametrize("command", [command for command, _ in examples()])
def test_there_is_such_a_command(command):
    make_parser().parse_args(shlex.split(command))


def test_every_command_is_on_the_page():
    told = set(re.findall(r"^``(\w+)``  ", PAGE, flags=re.MULTILINE))
    (commands,) = [a.choices for a in make_parser()._actions if a.dest == "command"]
    assert told == set(commands)


@pytest.mark.timeout(300)
def test_they_print_what_it_says(tmp_path, runtime_directory, capsys):
    (code,) = re.findall(r"code-block:: python\n\n((?:   .*\n|\n)+)", PAGE)
    checked = []
    with Serving(["lab:camera"], tmp_path, textwrap.dedent(code)):
        for command, said in examples():
            if not command.startswith(RUN):
                continue
            main(shlex.split(command))
            told = " ".join("".join(capsys.readouterr()).split())
            told = told.replace("pyacq_rpc serve --json", "pyacq-rpc serve")  # as it is run here
            said = " ".join(said.split())
            flags = doctest.ELLIPSIS
            assert doctest.OutputChecker().check_output(said, told, flags), f"{command}: {told}"
            checked.append(command)
    assert len(checked) == 7


@pytest.mark.timeout(120)
def test_serve_prints_what_it_says(tmp_path, runtime_directory):
    said = dict(examples())["serve lab:camera"]
    (tmp_path / "lab.py").write_text("camera = 1\n")
    with subprocess.Popen(
        [*PROGRAM, "serve", "lab:camera"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as serving:
        told = serving.stdout.readline().strip()
        serving.kill()
    assert re.fullmatch(re.escape(said).replace(r"\.\.\.", r"\d+"), told)
