"""The client of the protocol page, which knows pyzmq and JSON only."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from pyacq_rpc import RPCServer

CLIENT = Path(__file__).parents[2] / "docs" / "examples" / "json_client.py"


class Camera:
    def expose(self, seconds: float, frames: int = 1) -> dict[str, object]:
        return {"seconds": seconds, "frames": frames}

    def close_shutter(self) -> None:
        raise RuntimeError("the shutter is stuck")

    def driver(self) -> object:
        return self


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(CLIENT), *arguments], capture_output=True, text=True, timeout=25
    )


def test_it_calls_a_method_and_prints_the_result(server: RPCServer):
    server["camera"] = Camera()
    ended = run(server.address, "camera", "expose", "0.1", "3")
    assert (ended.returncode, json.loads(ended.stdout)) == (0, {"seconds": 0.1, "frames": 3})


def test_it_tells_of_a_remote_exception(server: RPCServer):
    server["camera"] = Camera()
    ended = run(server.address, "camera", "close_shutter")
    assert (ended.returncode, ended.stderr) == (1, "RuntimeError: the shutter is stuck\n")


def test_it_tells_of_a_result_without_a_value_form(server: RPCServer):
    server["camera"] = Camera()
    ended = run(server.address, "camera", "driver")
    assert ended.returncode == 1
    assert "has no value form" in ended.stderr


def test_it_leaves_nothing_at_the_server(server: RPCServer):
    server["camera"] = Camera()
    run(server.address, "camera", "expose", "0.1")
    assert len(server.table) == 0


def test_it_imports_nothing_of_this_package():
    source = CLIENT.read_text()
    assert "pyacq_rpc" not in source
    code = source.partition('"""\n')[2]
    assert sum(1 for line in code.splitlines() if line.strip()) <= 35
