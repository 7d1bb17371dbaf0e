"""The command line: ``python -m pyacq_rpc``, or ``pyacq-rpc``."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from pyacq_rpc import __version__
from pyacq_rpc.people import key_commands

__all__ = ["main"]

INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 plus the number of the signal, as shells have it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; by default those of this process.

    Returns
    -------
    int
        The exit code.

    Raises
    ------
    SystemExit
        If the arguments are wrong, or only ask for help.
    """
    options = _parser().parse_args(argv)
    try:
        code: int = options.run(options)
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        return INTERRUPTED
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pyacq-rpc",
        description="Objects of other threads, processes and machines, used like local ones.",
    )
    parser.add_argument("--version", action="version", version=f"pyacq-rpc {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    demo = commands.add_parser(
        "demo",
        help="two live nodes, a table, a plot",
        description="Sample this machine from another process, compute in a third one, kill one"
        " of them on the way, and end with a plot.",
    )
    demo.add_argument(
        "--seconds", type=_duration, default=10.0, help="how long it samples (default: 10)"
    )
    demo.add_argument(
        "--output",
        type=_writable_file,
        default="pyacq-rpc-demo.png",
        metavar="PNG",
        help="where the plot goes (default: %(default)s)",
    )
    demo.set_defaults(run=_demo)
    key_commands.add_parser(commands)
    return parser


def _demo(options: argparse.Namespace) -> int:
    from pyacq_rpc.people import demo

    return demo.run(options.seconds, options.output)


def _duration(text: str) -> float:
    """Read a number of seconds from the command line."""
    try:
        seconds = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds") from None
    if not 1 <= seconds <= 3600 or math.isnan(seconds):
        raise argparse.ArgumentTypeError(f"between 1 and 3600 seconds, not {text}")
    return seconds


def _writable_file(text: str) -> Path:
    """Read the path of a file that is to be written, and see now whether it can be."""
    path = Path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is a directory")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no directory {path.parent}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"{text} cannot be written")
    return path


if __name__ == "__main__":
    sys.exit(main())
