"""``pyacq-rpc serve``: publish an object of a module, until Ctrl-C."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import signal
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any, NamedTuple

from pyacq_rpc import RPCServer, Service

from ...peers.running import InterruptHandler
from ..failing import CommandError, sentence_of
from .arguments import Commands, add_json, address

__all__ = ["add_parser"]


def add_parser(commands: Commands) -> None:
    """Add the command to those of the program."""
    parser = commands.add_parser(
        "serve",
        help="publish an object of a module, until Ctrl-C",
        description="Import a module, publish an object of it, and serve until Ctrl-C, SIGTERM, or"
        " a client that closes the server. The current directory is looked into first, as by"
        " 'python -m'. 'lab:camera' publishes the object as it is, 'lab:Camera()' what calling it"
        " without arguments gives, and 'lab' the module itself.",
    )
    parser.add_argument("what", metavar="MODULE[:OBJECT]", help="what is published")
    parser.add_argument(
        "--name", help="what it is published as, and the server called (default: as OBJECT is)"
    )
    parser.add_argument(
        "--address",
        type=address,
        default="tcp://127.0.0.1:*",
        help="where to listen; * is any free port (default: %(default)s)",
    )
    parser.add_argument(
        "--qt", action="store_true", help="serve in the main thread of a Qt application"
    )
    parser.add_argument(
        "--service",
        action="store_true",
        help="let clients use members that are exposed with @expose, and nothing else",
    )
    add_json(parser)
    parser.set_defaults(run=_serve)


def _serve(options: argparse.Namespace) -> int:
    module, _, path = options.what.partition(":")
    name = options.name or (path or module).removesuffix("()").rpartition(".")[2]
    if not module or not name:
        raise CommandError(f"{options.what!r} names no object; give one like lab:camera")
    policy = Service() if options.service else None
    way = _qt_way(name) if options.qt else _Way(RPCServer, RPCServer.run_forever, _leave)
    obj = _load(module, path)  # a widget needs the application
    try:
        server = way.make(options.address, name=name, policy=policy)
    except (OSError, ValueError) as error:
        raise CommandError(str(error)) from None
    try:
        server[name] = obj
        _end_by_signals(server, way)
        _tell(server, name, options.json)
        way.run(server)
    finally:
        server.close()
    return 0


class _Way(NamedTuple):
    """How to serve: with or without an application of Qt's."""

    make: Callable[..., Any]  # a server
    run: Callable[[Any], object]  # until it is asked to close
    leave: Callable[[Any], object]  # at once, from within a signal handler


def _leave(server: Any) -> None:
    raise SystemExit(128 + signal.SIGTERM)


def _qt_way(name: str) -> _Way:
    """Make an application, and return how to serve in that."""
    try:
        from ...qt.node import GuiNode, lacks_display
        from ...qt.server import QtRPCServer
    except ImportError as error:
        raise CommandError(str(error)) from None
    if lacks_display():
        raise CommandError(
            "there is no display for a GUI: neither DISPLAY nor WAYLAND_DISPLAY is set; with"
            " QT_QPA_PLATFORM=offscreen in the environment, windows are drawn and not seen"
        )
    node = GuiNode(name)
    return _Way(QtRPCServer, node.run, node.terminate)


def _end_by_signals(server: Any, way: _Way) -> None:
    """Have SIGTERM close the server when it has done what it is doing, and a second one at once."""

    def terminate(signum: int, frame: object) -> None:
        if server.running():
            server.close()
        else:
            way.leave(server)

    signal.signal(signal.SIGTERM, terminate)
    signal.signal(signal.SIGINT, InterruptHandler(server.doing))  # ignored in a shell's background


def _tell(server: Any, name: str, as_json: bool) -> None:
    if as_json:
        text = json.dumps({"address": server.address, "name": name, "pid": os.getpid()})
    else:
        text = f"Serving {name} at {server.address}"
    print(text, flush=True)


def _load(module: str, path: str) -> Any:
    """Return the object that the user has named."""
    sys.path.insert(0, os.getcwd())
    try:
        found = importlib.import_module(module)
        for part in filter(None, path.removesuffix("()").split(".")):
            found = getattr(found, part)
        return found() if path.endswith("()") else found  # type: ignore[operator]
    except Exception as error:  # noqa: BLE001  # whatever the user's module raises
        missing = isinstance(error, (ImportError, AttributeError)) and not _is_deeper(error)
        if not missing:
            _show(error)  # it is the user's own code that has failed
        where = f"{module}:{path}" if path else module
        raise CommandError(f"cannot load {where}: {sentence_of(error)}") from None


def _is_deeper(error: BaseException) -> bool:
    """Whether an error was raised by the user's module, and not by looking for it."""
    return _within_module(error) is not None


def _within_module(error: BaseException) -> TracebackType | None:
    """Return the part of a traceback that is not of the import itself."""
    found = error.__traceback__
    while found is not None:
        filename = found.tb_frame.f_code.co_filename
        if "importlib" not in filename and filename != __file__:
            break
        found = found.tb_next
    return found


def _show(error: Exception) -> None:
    import traceback

    traceback.print_exception(type(error), error, _within_module(error))
