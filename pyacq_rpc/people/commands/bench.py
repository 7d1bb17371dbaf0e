"""``pyacq-rpc bench``: a quick measurement of this machine."""

from __future__ import annotations

import argparse
import json

from ..progress import Progress
from ..tables import table
from .arguments import Commands, add_json, seconds

__all__ = ["add_parser"]


def add_parser(commands: Commands) -> None:
    """Add the command to those of the program."""
    parser = commands.add_parser(
        "bench",
        help="measure how fast calls are on this machine",
        description="Measure calls to a node in a process of its own, and the same with raw pyzmq,"
        " which says what this machine can do. Whatever else runs takes its share.",
    )
    parser.add_argument(
        "--seconds",
        type=seconds(0.1, 600),
        default=5.0,
        help="how long to measure in all (default: %(default)g)",
    )
    add_json(parser)
    parser.set_defaults(run=_bench)


def _bench(options: argparse.Namespace) -> int:
    from ..measuring import measure

    with Progress() as progress:
        results = measure(options.seconds, progress.show)
    if options.json:
        print(json.dumps([result._asdict() for result in results], indent=2))
    else:
        head = ("WHAT", "HERE", "RAW PYZMQ", "RATIO")
        print(table(head, [result.cells() for result in results]))
    return 0
