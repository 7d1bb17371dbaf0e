"""A shell of IPython that is extended, and taken down again."""

from __future__ import annotations

import atexit

import pytest

from pyacq_rpc.people.ipython import load, unload
from spawner import ProcessSpawner


class Camera:
    """Takes frames."""

    def __init__(self):
        self.settings = {"gain": 1, "mode": 2}

    def shoot(self, seconds: float, *, count: int = 1) -> list:
        """Take some."""
        return [seconds] * count

    def fail(self):
        raise ValueError("no light")

    def _repr_html_(self):
        return "<b>camera</b>"


@pytest.fixture
def plain_shell():
    """A shell without the extension, and without a history."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    config = Config(
        {"HistoryManager": {"enabled": False}, "InteractiveShell": {"colors": "nocolor"}}
    )
    shell = InteractiveShell(config=config)
    yield shell
    unload(shell)
    shell.reset(new_session=False)
    shell.restore_sys_module_state()
    atexit.unregister(shell.atexit_operations)
    shell.atexit_operations()


@pytest.fixture
def shell(plain_shell):
    load(plain_shell)
    return plain_shell


@pytest.fixture
def camera(server, client, shell):
    """A proxy, and a variable of the user that holds it."""
    server["camera"] = Camera()
    camera = shell.user_ns["camera"] = client["camera"]
    return camera


@pytest.fixture
def node():
    with ProcessSpawner(name="worker", output="capture") as node:
        yield node


@pytest.fixture
def run(shell, capsys):
    """Run a cell, and return its result and what was printed."""

    def run(cell):
        result = shell.run_cell(cell)
        return result, capsys.readouterr().out

    return run
