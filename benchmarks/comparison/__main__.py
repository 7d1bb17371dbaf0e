"""``python -m benchmarks.comparison``: put the questions, print the answers."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from .peers import PEERS
from .questions import PATIENCE, QUESTIONS, Case, short

ROOT = Path(__file__).parents[2]

TRIES = 5
"""Ports to try: between being found and being listened at, one may be taken by somebody else."""


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.comparison", description=__doc__)
    parser.add_argument("projects", nargs="*", help=", ".join(PEERS))
    parser.add_argument("--only", action="append", choices=[*QUESTIONS], metavar="QUESTION")
    parser.add_argument("--serve", type=int, metavar="PORT", help=argparse.SUPPRESS)
    parser.add_argument("--ask", nargs=2, type=int, metavar="N", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    names = options.projects or [*PEERS]
    if unknown := {*names} - {*PEERS}:
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    questions = options.only or [*QUESTIONS]
    if options.serve is not None:
        PEERS[names[0]].serve(options.serve)
    elif options.ask is not None:
        case = Case(PEERS[names[0]], *options.ask)
        try:
            print(QUESTIONS[questions[0]](case), flush=True)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is the answer
            print(f"not possible: {type(error).__name__}: {short(str(error))}", flush=True)
        os._exit(0)  # some wait for the server again when they end
    else:
        compare(names, questions)
    return 0


def compare(names: Sequence[str], questions: Sequence[str]) -> None:
    """Put the questions to each project, some at a time: most of them only wait."""
    with ThreadPoolExecutor(4) as workers:
        found = {
            name: [workers.submit(answer, name, question) for question in questions]
            for name in names
            if is_installed(name)
        }
        for name in names:
            if name not in found:
                print(f"{name} is left out: it is not installed")
                continue
            print(f"{name} {PEERS[name].version()}")
            for question, future in zip(questions, found[name]):
                print(f"  {question:<17} {future.result()}", flush=True)


def is_installed(name: str) -> bool:
    package = name.partition(".")[0].replace("-", "_")
    return importlib.util.find_spec(package) is not None


QUIET: dict[str, Any] = {
    "stdout": subprocess.PIPE,
    "stderr": subprocess.DEVNULL,  # some log each failure
    "text": True,
    "cwd": ROOT,
}


def answer(name: str, question: str) -> str:
    """Put one question, to a server of its own; return the sentence."""
    command = [sys.executable, "-m", __package__ or "", name]
    try:
        with serving(command) as (server, port):
            asking = [*command, "--only", question, "--ask", str(port), str(server.pid)]
            return subprocess.run(asking, **QUIET, timeout=PATIENCE).stdout.strip() or "no answer"
    except subprocess.TimeoutExpired:
        return f"nothing after {PATIENCE:.0f} s"
    except RuntimeError as error:
        return str(error)


@contextlib.contextmanager
def serving(command: Sequence[str]) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Start a server; yield its process, and where it listens."""
    for _ in range(TRIES):
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            port = found.getsockname()[1]
        with subprocess.Popen([*command, "--serve", str(port)], **QUIET) as server:
            try:
                assert server.stdout is not None
                if server.stdout.readline():
                    yield server, port
                    return
            finally:
                server.kill()
    raise RuntimeError("its server did not start")


if __name__ == "__main__":
    raise SystemExit(main())
