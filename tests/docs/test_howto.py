"""What the how-to pages show besides snippets: commands, tests, the debugger."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import PATIENCE
from conftest import eventually
from howto_pages import all_typed, modules, typed
from processes import ROOT
from terminal import Terminal

from pyacq_rpc import RPCClient
from pyacq_rpc.people.commands import make_parser
from spawner import ProcessSpawner

EXAMPLES = ROOT / "docs" / "examples"

pytestmark = pytest.mark.timeout(180)


@pytest.mark.parametrize("command", all_typed("pyacq-rpc"))
def test_there_is_such_a_command(command: str):
    make_parser().parse_args(shlex.split(command))


def test_there_are_commands():
    assert len(all_typed("pyacq-rpc")) > 10


def test_the_tests_that_it_shows_pass(tmp_path: Path):
    shutil.copy(EXAMPLES / "test_camera.py", tmp_path)
    told = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert "3 passed" in told.stdout, told.stdout


def test_a_breakpoint_opens_where_it_is_served(tmp_path: Path, runtime_directory: Path):
    (served,) = [command for command in typed("finding_out") if "serve" in command]
    source = modules("finding_out")["sensors.py"]
    source = source.replace("        raw = 43\n", "        raw = 43\n        breakpoint()\n")
    (tmp_path / "sensors.py").write_text(source)
    paths = os.pathsep.join([str(ROOT), str(tmp_path)])
    command = [sys.executable, "-m", "pyacq_rpc", *shlex.split(served)[1:]]
    with Terminal(command, {"PYTHONPATH": paths}) as terminal:
        client = RPCClient(terminal.wait_for(r"Serving sensor at (\S+)", PATIENCE)[1])
        sensor = client["sensor"]
        sensor.scale = 2
        future = sensor.scaled(_sync="async")
        terminal.wait_for(r"\(Pdb\)", PATIENCE)
        assert client.status(10).state == "busy"
        terminal.type("p raw")
        terminal.wait_for("43")
        terminal.type("continue")
        assert future.result(PATIENCE) == 21.5
        future = sensor.scaled(_sync="async")
        terminal.wait_for(r"\(Pdb\)", PATIENCE)
        terminal.type("quit")
        assert future.exception(PATIENCE).type_name == "bdb.BdbQuit"
        terminal.process.terminate()
        assert terminal.process.wait(PATIENCE) == 0


def test_a_session_ends_with_its_holder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "instruments.py").write_text(modules("instruments")["instruments.py"])
    monkeypatch.syspath_prepend(tmp_path)
    with ProcessSpawner(name="instruments") as node, ProcessSpawner(name="ada") as ada:
        camera = node._import("instruments").Camera()
        ada["session"] = camera.take("Ada")
        with pytest.raises(RuntimeError, match="Ada has the camera"):
            camera.take("Ben")
        ada.kill()

        def is_free() -> bool:
            with contextlib.suppress(RuntimeError):
                camera.take("Ben")
                return True
            return False

        assert eventually(is_free, PATIENCE)


def test_a_breakpoint_in_a_spawned_node_raises():
    with ProcessSpawner(name="node", output="discard") as node:
        future = node._import("builtins").exec("breakpoint()\nx = 1", _sync="async")
        assert future.exception(PATIENCE).type_name == "bdb.BdbQuit"
