from __future__ import annotations

import subprocess
import sys

import pyacq_rpc

MAGICS = {"line": ["nodes", "spawn", "remote", "interrupt", "rich"], "cell": ["remote"]}


def test_what_it_adds_is_taken_back(plain_shell):
    shell = plain_shell
    inspector, formatter = vars(shell.inspector).copy(), vars(shell.InteractiveTB).copy()
    matchers = list(shell.Completer.custom_matchers)
    callbacks = {name: list(found) for name, found in shell.events.callbacks.items()}
    for _ in range(2):
        pyacq_rpc.load_ipython_extension(shell)
        pyacq_rpc.load_ipython_extension(shell)  # once is enough
        magics = shell.magics_manager.magics
        assert all(name in magics[kind] for kind, names in MAGICS.items() for name in names)
        assert len(shell.Completer.custom_matchers) == len(matchers) + 1
        pyacq_rpc.unload_ipython_extension(shell)
        assert not any(name in magics[kind] for kind, names in MAGICS.items() for name in names)
        assert shell.Completer.custom_matchers == matchers
        assert vars(shell.inspector).keys() == inspector.keys()
        assert vars(shell.InteractiveTB).keys() == formatter.keys()
        assert {name: list(found) for name, found in shell.events.callbacks.items()} == callbacks
    pyacq_rpc.unload_ipython_extension(shell)


def test_nothing_is_imported_before():
    code = (
        "import pyacq_rpc, sys, pyacq_rpc.people.ipython.cells;"
        "print('IPython' in sys.modules, 'pygments' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "False False\n"
