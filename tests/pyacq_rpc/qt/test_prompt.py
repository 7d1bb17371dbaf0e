"""At a prompt that waits for the user, callbacks arrive."""

from __future__ import annotations

import asyncio
import os
import re
import sys

import pytest
import qtpy
from terminal import Terminal

from pyacq_rpc import RPCClient

START = (
    "from pyacq_rpc import QtRPCServer;"
    " server = QtRPCServer(quit_on_close=False); calls = []; server['note'] = calls.append;"
    " server.run_forever(); print('at', server.address, 'now')"
)


def use(address: str) -> None:
    """Call what is at the prompt, as another process does."""
    client = RPCClient(address)
    for n in range(3):
        client["note"](n, _timeout=20)
    client.close()


@pytest.fixture
def ipython(app, tmp_path):
    # IPython wants to see a display, though Qt needs none here.
    env = {"DISPLAY": ":none", "IPYTHONDIR": str(tmp_path), "COLUMNS": "300", "LINES": "50"}
    command = [sys.executable, "-m", "IPython", "--colors=NoColor", "--no-banner"]
    with Terminal([*command, "--no-confirm-exit"], env) as terminal:
        terminal.wait_for(r"In \[1\]:")
        yield terminal


def test_ipython(ipython):
    ipython.type("%gui qt")
    for n in range(2, 50):  # it makes the application when it has nothing else to do
        ipython.wait_for(rf"In \[{n}\]:")
        ipython.type("from qtpy import QtCore; print('is', QtCore.QCoreApplication.instance())")
        if "None" not in ipython.wait_for(r"is (None|<.*?>)\r?\n").group(1):
            break
    ipython.type(START)
    address = ipython.wait_for(r"at (tcp://\S+) now\r?\n").group(1)
    ipython.wait_for(r"In \[\d+\]:")
    use(address)
    ipython.type("print('called with', calls)")
    ipython.wait_for(r"called with \[0, 1, 2\]")
    ipython.type("exit")
    assert ipython.process.wait(20) == 0


def test_a_signal_of_a_gui_reaches_ipython(ipython):
    """No event loop is needed for that."""
    ipython.type(
        "from spawner import ProcessSpawner; gui = ProcessSpawner(qt=True);"
        " button = gui._import('qtpy.QtWidgets').QPushButton('x');"
        " import threading; clicked = threading.Event();"
        " button.clicked.connect(lambda: clicked.set()); print('at', gui.address, 'now')"
    )
    ipython.wait_for(r"at (tcp://\S+) now\r?\n")
    ipython.type("button.click(); print('was', clicked.wait(20))")
    ipython.wait_for(r"was True")
    ipython.type("gui.stop()")
    ipython.type("exit")
    assert ipython.process.wait(20) == 0


@pytest.mark.timeout(120)  # a kernel takes seconds to start
def test_jupyter(app, tmp_path):
    """Its kernel answers in the loop that also draws."""
    env = {**os.environ, "DISPLAY": ":none", "IPYTHONDIR": str(tmp_path)}
    asyncio.run(_use_a_kernel(env))


async def _use_a_kernel(env):
    from jupyter_client.manager import AsyncKernelManager

    manager = AsyncKernelManager()
    await manager.start_kernel(env=env)
    client = manager.client()
    client.start_channels()

    async def run(code):
        printed = []

        def note(message):
            if message["msg_type"] == "stream":
                printed.append(message["content"]["text"])

        reply = await client.execute_interactive(code, timeout=60, output_hook=note)
        assert reply["content"]["status"] == "ok", reply["content"]
        return "".join(printed)

    try:
        await client.wait_for_ready(timeout=60)
        gui = "%gui qt5" if qtpy.PYQT5 else "%gui qt6"  # of "qt", it takes the newest
        app = "app = QtWidgets.QApplication.instance() or QtWidgets.QApplication([])"
        # In one cell: of ipykernel 7, one that comes right behind %gui, before the event loop runs,
        # may wait there for the next one.
        printed = await run("\n".join([gui, "from qtpy import QtWidgets", app, START]))
        address = re.search(r"at (tcp://\S+) now", printed).group(1)
        await asyncio.to_thread(use, address)  # by the event loop, so it runs
        assert "[0, 1, 2]" in await run("print(calls)")
    finally:
        client.stop_channels()
        await manager.shutdown_kernel(now=True)
