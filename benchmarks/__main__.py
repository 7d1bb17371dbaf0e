"""``python -m benchmarks``: measure, print a table, write a JSON file."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from .calls import CallsIpc, CallsTcp
from .measure import as_json, as_table, measure
from .raw import RawIpc, RawTcp
from .works import WORKS, Contender

CONTENDERS: list[type[Contender]] = [RawTcp, CallsTcp]
if sys.platform != "win32":
    CONTENDERS += [RawIpc, CallsIpc]

LATEST = Path(__file__).parent / "results" / "latest.json"


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=4, help="of everything (default: 4)")
    parser.add_argument("--tiny", action="store_true", help="once each, to see that it works")
    parser.add_argument("--output", type=Path, default=LATEST, help="the JSON file")
    options = parser.parse_args(argv)
    if options.rounds < 1:
        parser.error("--rounds: at least one")
    works = WORKS
    if options.tiny:
        works = [dataclasses.replace(work, count=1) for work in WORKS if work.megabytes <= 1]

    def tell(text: str) -> None:
        if sys.stderr.isatty():
            print(f"\r{text:30}", end="", file=sys.stderr, flush=True)

    start = time.monotonic()
    with contextlib.ExitStack() as opening:
        contenders = [opening.enter_context(kind()) for kind in CONTENDERS]
        results = measure(works, contenders, options.rounds, tell)
    tell("\r")
    print(as_table(works, contenders, results))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    found = as_json(works, contenders, results)
    options.output.write_text(json.dumps(found, indent=1) + "\n")
    print(f"{options.rounds} rounds in {time.monotonic() - start:.0f} s; {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
