"""``pyacq-rpc ls``: which servers of this user run on this host."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import TYPE_CHECKING

from ..progress import Progress
from ..tables import in_time, table
from .arguments import Commands, add_json, seconds

if TYPE_CHECKING:
    from ..servers import ServerRow

__all__ = ["add_parser"]

_HEAD = ("NAME", "ADDRESS", "PID", "STATE", "AGE", "PROGRAM", "PUBLISHED")


def add_parser(commands: Commands) -> None:
    """Add the command to those of the program."""
    parser = commands.add_parser(
        "ls",
        help="list your servers on this host",
        description="List your servers on this host: where they listen, what program they are in,"
        " and what they publish. Those that were started with PYACQ_RPC_LISTED=0 or listed=False"
        " are not found.",
    )
    parser.add_argument(
        "-t",
        "--timeout",
        type=seconds(0.05, 60),
        default=2.0,
        metavar="SECONDS",
        help="how long to wait for each to answer (default: %(default)g)",
    )
    add_json(parser)
    parser.set_defaults(run=_ls)


def _ls(options: argparse.Namespace) -> int:
    from ..servers import survey

    with Progress() as progress:
        progress.show("asking ...")
        rows = survey(options.timeout)
    if options.json:
        print(json.dumps([row.as_dict() for row in rows], indent=2))
    elif rows:
        print(table(_HEAD, [_cells(row) for row in rows]))
    else:
        sys.stderr.write("No servers of yours are listed on this host.\n")
    return 0


def _cells(row: ServerRow) -> list[str]:
    listed, found = row.listed, row.probe
    state = found.state if found.doing is None else f"{found.state}: {found.doing}"
    names = "?" if found.names is None else ", ".join(found.names) or "-"
    age = in_time(max(0.0, time.time() - listed.since))
    return [listed.name, listed.address, str(listed.pid), state, age, row.program, names]
