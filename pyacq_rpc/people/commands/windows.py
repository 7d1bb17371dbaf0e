"""``pyacq-rpc logs`` and ``pyacq-rpc console``: commands that open a window."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from ..failing import CommandError
from .arguments import Commands, address, count

__all__ = ["add_parser"]

_NO_DISPLAY = (
    "there is no display for a window: neither DISPLAY nor WAYLAND_DISPLAY is set;"
    " over ssh, connect with -X"
)


def add_parser(commands: Commands) -> None:
    """Add the commands to those of the program."""
    logs = commands.add_parser(
        "logs",
        help="a window with the log records of all processes",
        description="Show log records as they come: those of nodes that are started with the"
        " address that is shown as their log_addr, or those of the log server of a program that"
        " runs.",
    )
    where = logs.add_mutually_exclusive_group()
    where.add_argument(
        "address",
        nargs="?",
        type=address,
        metavar="ADDRESS",
        help="show what comes to this log server: the address of start_log_server()",
    )
    where.add_argument(
        "--listen",
        type=address,
        metavar="ADDRESS",
        help="be a log server at this address (default: one that only you can send to)",
    )
    logs.add_argument(
        "--keep",
        type=count,
        metavar="N",
        default=200_000,
        help="how many records are kept (default: %(default)s)",
    )
    logs.set_defaults(run=_logs)
    console = commands.add_parser(
        "console",
        help="a window with an IPython prompt, in a node of its own",
        description="Start a node with a GUI, and open an IPython console in it. Other programs"
        " reach the node at the address that is shown. It ends when the window is closed.",
    )
    console.set_defaults(run=_console)


def _logs(options: argparse.Namespace) -> int:
    def show() -> int:
        from ..logs import window

        return window.run(options.address, options.listen, options.keep)

    return _try(show)


def _console(options: argparse.Namespace) -> int:
    from .. import console

    return _try(console.run)


def _try(show: Callable[[], int]) -> int:
    """Show a window, or say why that is not possible."""
    try:
        from ...qt.node import lacks_display

        if lacks_display():
            raise OSError(_NO_DISPLAY)
        return show()
    except (ImportError, OSError, ValueError) as error:
        raise CommandError(str(error)) from None
