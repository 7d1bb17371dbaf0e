"""``pyacq-rpc doctor``: look for what may be wrong, and say what to do."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from ..progress import Progress
from .arguments import Commands, add_json, add_server

if TYPE_CHECKING:
    from ..checks import Finding

__all__ = ["add_parser"]

_STYLES = {"ok": "\x1b[32m", "warn": "\x1b[33m", "fail": "\x1b[1;31m"}


def add_parser(commands: Commands) -> None:
    """Add the command to those of the program."""
    parser = commands.add_parser(
        "doctor",
        help="look for what may be wrong here, or with a server",
        description="Look at the versions, your key, the directory for sockets and the limits of"
        " this machine; start a node and call it by each road; and find out what there is at the"
        " address of a server, if one is given. Ends with exit code 1 if something is wrong.",
    )
    add_server(parser, nargs="?")
    add_json(parser)
    parser.set_defaults(run=_doctor)


def _doctor(options: argparse.Namespace) -> int:
    from ..checks import examine

    found = []
    with Progress() as progress:
        for finding in examine(options.server, progress.show):
            found.append(finding)
            if options.json:
                continue
            progress.clear()
            _show(finding)
    if options.json:
        print(json.dumps([finding._asdict() for finding in found], indent=2))
    return int(any(finding.level == "fail" for finding in found))


def _show(finding: Finding) -> None:
    level = finding.level.ljust(4)
    shown = f"{_STYLES[finding.level]}{level}\x1b[0m" if sys.stdout.isatty() else level
    print(f"{shown}  {finding.about}: {finding.text}")
    if finding.advice:
        print(f"      {finding.advice}", flush=True)
