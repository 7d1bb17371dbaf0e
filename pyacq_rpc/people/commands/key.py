"""``pyacq-rpc key``: who may connect, from this machine and from others."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from collections.abc import Callable

from ...transport.keys import admitted, export_key, import_key, key_path, revoke_key, user_key
from ..failing import CommandError
from .arguments import Commands

__all__ = ["add_parser"]


def add_parser(commands: Commands) -> None:
    """Add the command to those of the program."""
    parser = commands.add_parser(
        "key",
        help="who may connect, from other machines too",
        description="Your key lets your programs connect to your servers, on this machine. To let"
        " a program on another machine do so, export a key for it, copy the file there by a way"
        " that you trust, and import it there.",
    )
    actions = parser.add_subparsers(title="what to do", metavar="ACTION", required=True)

    show = actions.add_parser("show", help="where your key is, and whom it lets in besides you")
    show.set_defaults(run=_show)

    export = actions.add_parser("export", help="make a key for somebody else")
    export.add_argument("name", help="what it is called here, to revoke it: laptop, say")
    export.add_argument("file", help="where it goes; - for the standard output")
    export.set_defaults(run=_export)

    take = actions.add_parser("import", help="keep a key that was exported on another machine")
    take.add_argument("file", help="where it is; - for the standard input")
    take.add_argument("host", help="the other machine, as in the addresses of its servers")
    take.set_defaults(run=_import)

    revoke = actions.add_parser("revoke", help="let a key in no more")
    revoke.add_argument("name", help="what it was called when it was exported")
    revoke.set_defaults(run=_revoke)


def _show(options: argparse.Namespace) -> int:
    return _try(lambda: _told(key_path()))


def _told(path: str) -> str:
    key = user_key(path)
    lines = [f"your key: {path}", f"its public half: {key.public.decode()}"]
    others = admitted(path)
    lines += [f"lets in, too: {name}, {public.decode()}" for name, public in others.items()]
    return "\n".join(lines)


def _export(options: argparse.Namespace) -> int:
    def export() -> str:
        if options.file == "-":
            return export_key(key_path(), options.name).rstrip()
        # Before the key is made: nobody may be let in by a key that is nowhere.
        fd = os.open(options.file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with open(fd, "w") as file:
                file.write(export_key(key_path(), options.name))
        except BaseException:
            os.unlink(options.file)
            raise
        return (
            f"{options.file} lets whoever has it run code as you. Copy it to the other machine,"
            " then, there:\n"
            f"    pyacq-rpc key import {options.file} {socket.gethostname()}\n"
            f"and remove it here. To let it in no more: pyacq-rpc key revoke {options.name}"
        )

    return _try(export)


def _import(options: argparse.Namespace) -> int:
    def take() -> str:
        if options.file == "-":
            text = sys.stdin.read()
        else:
            with open(options.file) as file:
                text = file.read(4096)
        kept = import_key(key_path(), text, options.host)
        return f"kept in {kept}; clients of servers on {options.host} use it from now on"

    return _try(take)


def _revoke(options: argparse.Namespace) -> int:
    def revoke() -> str:
        revoke_key(key_path(), options.name)
        return (
            f"{options.name} is not let in any more; what is connected is sent away when it next"
            " asks for something"
        )

    return _try(revoke)


def _try(do: Callable[[], str]) -> int:
    try:
        print(do())
    except (OSError, ValueError) as error:
        raise CommandError(str(error)) from None
    return 0
