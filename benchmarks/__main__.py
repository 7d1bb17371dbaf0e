"""``python -m benchmarks``: measure, print two tables, write a JSON file and a plot."""

from __future__ import annotations

import argparse
import compileall
import dataclasses
import importlib.util
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pyacq_rpc
import spawner

from . import works
from .contenders import CONTENDERS, OURS, PACKAGES, PEERS, RAW, missing
from .measure import measure
from .record import as_record, machine
from .table import comparison_table, values_table

LATEST = Path(__file__).parent / "results" / "latest.json"


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says; return the exit code."""
    parser = _parser()
    options = parser.parse_args(argv)
    phases = works.busy(works.PHASES) if options.busy else works.PHASES
    if options.only:
        phases = works.named(phases, options.only)
        if not phases:
            parser.error(f"--only: no work is called {' or '.join(options.only)}")
    if options.tiny:
        phases = works.tiny(phases)
    if options.rounds is not None:
        if options.rounds < 1:
            parser.error("--rounds: at least one")
        phases = [dataclasses.replace(phase, rounds=options.rounds) for phase in phases]
    contenders = []
    for name in options.contenders:
        if missing(name):
            print(f"{name} is left out: it is not installed (pip install {PACKAGES[name]})")
        else:
            contenders.append(name)

    for package in (pyacq_rpc, spawner):
        # As whoever installs it does. Where Python may not write, as with
        # PYTHONDONTWRITEBYTECODE, each node would compile them anew.
        compileall.compile_dir(package.__path__[0], quiet=1)
    begin = time.monotonic()
    about = machine()
    with tempfile.TemporaryDirectory(prefix="pyacq-rpc-bench-") as folder:
        results, failures = measure(phases, contenders, folder, _teller())
    print(comparison_table(results), values_table(results), sep="\n\n", end="\n\n")
    for (name, work), error in failures.items():
        print(f"{name} could not do {work}:\n{error}", file=sys.stderr)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    record = as_record(results, about)
    options.output.write_text(json.dumps(record, indent=1) + "\n")
    written = [options.output]
    if importlib.util.find_spec("matplotlib"):
        from .plot import draw

        written.append(options.output.with_suffix(".png"))
        draw(results, about, written[-1])
    else:
        print("there is no plot: matplotlib is not installed")
    print(f"{time.monotonic() - begin:.0f} s; {', '.join(map(str, written))}")
    return 1 if {name for name, _ in failures} & {RAW, OURS} else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = [work.name for phase in works.PHASES for work in phase.works]
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="NAME",
        help=f"the works to do, of: {', '.join(names)}; the first word is enough",
    )
    parser.add_argument(
        "--contenders",
        nargs="+",
        metavar="NAME",
        choices=CONTENDERS,
        default=[RAW, OURS, *PEERS],
        help=f"who takes part, of: {', '.join(CONTENDERS)} (default: all)",
    )
    parser.add_argument(
        "--busy", action="store_true", help="measure calls with every core kept busy, too"
    )
    parser.add_argument("--rounds", type=int, help="of everything (default: as fits the work)")
    parser.add_argument("--tiny", action="store_true", help="once each, to see that it works")
    parser.add_argument(
        "--output", type=Path, default=LATEST, help="the JSON file; the plot goes beside it"
    )
    return parser


def _teller() -> Callable[[str], object]:
    if not sys.stderr.isatty():
        return lambda text: None
    return lambda text: print(f"\r{text:40}\r", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
