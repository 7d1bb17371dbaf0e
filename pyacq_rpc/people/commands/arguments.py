"""What several commands take from the command line."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable, Sequence
from copy import copy
from pathlib import Path
from typing import TypeAlias

from ...transport.sockets import clean_address

__all__ = [
    "Commands",
    "Parser",
    "add_json",
    "add_server",
    "address",
    "count",
    "seconds",
    "writable_file",
]

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
"""What a command is added to."""


class Parser(argparse.ArgumentParser):
    """Lets options stand between the arguments, too: ``call lab camera.expose -v 0.1``."""

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Return what was understood, and what was not."""
        before = None if namespace is None else copy(namespace)
        found, rest = super().parse_known_args(args, namespace)
        takes_more = any(
            action.nargs == "*" and not action.option_strings for action in self._actions
        )
        if not (rest and takes_more) or self._within:
            return found, rest
        self._within = True  # what follows calls this method, too
        try:
            return self.parse_known_intermixed_args(args, before)
        finally:
            self._within = False

    _within = False


def add_server(parser: argparse.ArgumentParser, nargs: str | None = None) -> None:
    """Have a command be told which server is meant."""
    parser.add_argument(
        "server",
        nargs=nargs,
        metavar="SERVER",
        help="its address, or its name as 'pyacq-rpc ls' shows it",
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Let a command be asked for JSON."""
    parser.add_argument("--json", action="store_true", help="print JSON, for scripts")


def address(text: str) -> str:
    """Read an address."""
    try:
        return clean_address(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def count(text: str) -> int:
    """Read how many there are to be."""
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 10_000_000):
        raise argparse.ArgumentTypeError(f"a number from 1 to 10000000, not {text!r}")
    return int(text)


def seconds(least: float, most: float) -> Callable[[str], float]:
    """Return what reads a number of seconds in that range."""

    def read(text: str) -> float:
        try:
            found = float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds") from None
        if not least <= found <= most or math.isnan(found):
            raise argparse.ArgumentTypeError(f"between {least:g} and {most:g} seconds, not {text}")
        return found

    return read


def writable_file(text: str) -> Path:
    """Read the path of a file that is to be written, and see now whether it can be."""
    path = Path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is a directory")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no directory {path.parent}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"{text} cannot be written")
    return path
