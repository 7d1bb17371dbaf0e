"""The commands of ``pyacq-rpc``: each adds its parser, and imports what it needs when it runs."""

from __future__ import annotations

import argparse

from . import (
    bench,
    call,
    completion,
    demo,
    doctor,
    key,
    ls,
    serve,
    shell,
    top,
    windows,
)
from .arguments import Parser

__all__ = ["make_parser"]

_COMMANDS = (serve, call, shell, ls, top, windows, key, doctor, bench, demo, completion)
"""In the order in which ``--help`` lists them."""


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line.

    Examples
    --------
    >>> make_parser().parse_args(["call", "lab", "camera.expose", "0.1"]).command
    'call'
    """
    from pyacq_rpc import __version__

    parser = Parser(
        prog="pyacq-rpc",
        description="Objects of other threads, processes and machines, used like local ones.",
        epilog="'pyacq-rpc COMMAND --help' tells more of each.",
    )
    parser.add_argument("--version", action="version", version=f"pyacq-rpc {__version__}")
    commands = parser.add_subparsers(
        title="commands", metavar="COMMAND", dest="command", required=True
    )
    for module in _COMMANDS:
        module.add_parser(commands)
    return parser
