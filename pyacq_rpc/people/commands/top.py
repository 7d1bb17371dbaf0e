"""``pyacq-rpc top``: a live table of servers."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import time
from typing import TYPE_CHECKING

from ..demo_keys import Keys
from ..failing import CommandError
from ..tables import in_bytes, in_time, table
from .arguments import Commands, add_json, add_server, seconds

if TYPE_CHECKING:
    from rich.table import Table

    from ..watching import Watch, Watches

__all__ = ["add_parser"]

_HEAD = ("NAME", "PID", "STATE", "RATE", "LATENCY", "CPU", "MEMORY", "ADDRESS")
_STYLES = {
    "alive": "green",
    "busy": "yellow",
    "unresponsive": "bold magenta",
    "refused": "magenta",
    "dead": "bold red",
}

_FRAME = 0.1
"""Seconds between two looks at the keyboard."""


def add_parser(commands: Commands) -> None:
    """Add the command to those of the program."""
    parser = commands.add_parser(
        "top",
        help="a live table of servers: latency, what they do, CPU, memory",
        description="Show how servers are, again and again: all that 'pyacq-rpc ls' finds, or"
        " those that are named. q ends it. Where the output is no terminal, it is shown once.",
    )
    add_server(parser, nargs="*")
    parser.add_argument(
        "-i",
        "--interval",
        type=seconds(0.1, 3600),
        default=1.0,
        metavar="SECONDS",
        help="between two times that each is asked (default: %(default)g)",
    )
    parser.add_argument("--once", action="store_true", help="show it once, after one interval")
    add_json(parser)
    parser.set_defaults(run=_top)


def _top(options: argparse.Namespace) -> int:
    from ..reaching import address_of
    from ..watching import Watches

    is_once = options.once or options.json or not sys.stdout.isatty()
    if not is_once and importlib.util.find_spec("rich") is None:
        raise CommandError(
            "the live table needs rich: pip install 'pyacq-rpc[cli]'; --once does without"
        )
    with Watches([address_of(server) for server in options.server], options.interval) as watches:
        if is_once:
            _show_once(watches, options.interval, options.json)
        else:
            _show_live(watches, options.interval)
    return 0


def _show_once(watches: Watches, interval: float, as_json: bool) -> None:
    found = watches.current()
    # Rates need two samples; what hangs is not waited for longer than it takes to say so.
    deadline = time.monotonic() + interval + 5.0
    while any(_is_due(watch) for watch in found) and time.monotonic() < deadline:
        time.sleep(_FRAME)
        found = watches.current()
    if as_json:
        print(json.dumps([watch.as_dict() for watch in found], indent=2))
    elif found:
        print(table(_HEAD, [_cells(watch) for watch in found]))
    else:
        sys.stderr.write("No servers of yours are listed on this host.\n")


def _is_due(watch: Watch) -> bool:
    return watch.count < 2 and watch.ended is None


def _show_live(watches: Watches, interval: float) -> None:
    from rich.live import Live

    with Keys() as keys, Live(screen=True, auto_refresh=False) as live:
        while True:
            live.update(_picture(watches.current(), interval), refresh=True)
            if _is_left(keys, min(interval, 1.0)):
                return


def _is_left(keys: Keys, within: float) -> bool:
    """Wait for so many seconds; whether it was to end meanwhile."""
    until = time.monotonic() + within
    while time.monotonic() < until:
        if "q" in keys.pressed():
            return True
        time.sleep(_FRAME)
    return False


def _picture(watches: list[Watch], interval: float) -> Table:
    from rich.table import Table
    from rich.text import Text

    title = f"{time.strftime('%H:%M:%S')}  {len(watches)} servers, asked every {in_time(interval)}"
    picture = Table(box=None, title=f"{title}, q ends", title_justify="left", expand=False)
    for name in _HEAD:
        picture.add_column(name, no_wrap=True, justify="right" if name in _NUMBERS else "left")
    for watch in watches:
        state = watch.sample.probe.state if watch.sample is not None else ""
        whole = _STYLES["dead"] if state == "dead" else ""
        cells = [Text(cell, style=whole) for cell in _cells(watch)]
        cells[2].stylize(_STYLES.get(state, "dim"))
        picture.add_row(*cells)
    return picture


_NUMBERS = frozenset({"PID", "RATE", "LATENCY", "CPU", "MEMORY"})


def _cells(watch: Watch) -> list[str]:
    listed, sample = watch.listed, watch.sample
    pid = str(listed.pid) if listed.pid else "-"
    if sample is None:
        return [listed.name, pid, "...", "-", "-", "-", "-", listed.address]
    found = sample.probe
    state = found.state
    if found.doing is not None:
        state += f": {found.doing} {in_time(found.seconds)}"
    rate = "-" if sample.rate is None else f"{sample.rate:.0f}/s"
    cpu = "-" if sample.cpu is None else f"{sample.cpu:.0f} %"
    latency, memory = in_time(found.latency), in_bytes(sample.memory)
    return [listed.name, pid, state, rate, latency, cpu, memory, listed.address]
