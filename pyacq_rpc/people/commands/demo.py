"""``pyacq-rpc demo``: live nodes, a table, and curves in a window."""

from __future__ import annotations

import argparse

from .arguments import Commands, seconds, writable_file

__all__ = ["add_parser"]


def add_parser(commands: Commands) -> None:
    """Add the command to those of the program."""
    demo = commands.add_parser(
        "demo",
        help="three live nodes, a table, a window with live curves",
        description="Sample this machine from another process, compute in a third one, draw in a"
        " fourth one, kill one of them on the way, and end with a picture. The window's button"
        " pauses it all, and so does the space bar here.",
    )
    demo.add_argument(
        "--seconds", type=seconds(1, 3600), default=10.0, help="how long it samples (default: 10)"
    )
    demo.add_argument(
        "--output",
        type=writable_file,
        default="demo.png",
        metavar="PNG",
        help="where the picture goes (default: %(default)s)",
    )
    demo.set_defaults(run=_demo)


def _demo(options: argparse.Namespace) -> int:
    from .. import demo

    return demo.run(options.seconds, options.output)
