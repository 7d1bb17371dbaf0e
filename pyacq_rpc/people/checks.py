"""What ``pyacq-rpc doctor`` looks at, one after the other."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import zmq

from pyacq_rpc import RPCClient, RPCError, __version__
from pyacq_rpc.peers.runtime import ROADS_VARIABLE
from pyacq_rpc.transport.direct import is_available, is_stale, private_directory
from pyacq_rpc.transport.keys import KEY_VARIABLE, admitted, key_path, load_key
from pyacq_rpc.wire.messages import VERSION

from .failing import CommandError, sentence_of
from .reaching import GOOD, address_of, diagnose

__all__ = ["Finding", "examine"]

ENOUGH = 1024
"""Descriptors; a client takes about four, and so does each of a server's."""

PATIENCE = 10.0
"""Seconds to wait for the answer of a node that was started."""

MOVING = 2.0
"""Seconds that it may take a client to find the direct road."""

_OLDEST_ZMQ = (4, 3, 3)
"""Older ones have published advisories."""

_NEEDED = ("pyzmq", "msgpack", "psutil")
_OPTIONAL = {
    "numpy": "arrays by value: pip install 'pyacq-rpc[numpy]'",
    "qtpy": "GUIs: pip install 'pyacq-rpc[qt]'",
    "rich": "the live table of 'pyacq-rpc top': pip install 'pyacq-rpc[cli]'",
    "ipython": "a better prompt in 'pyacq-rpc shell': pip install ipython",
}


class Finding(NamedTuple):
    """What one look has shown.

    Attributes
    ----------
    level : {'ok', 'warn', 'fail'}
    about : str
        What was looked at.
    text : str
        What was seen.
    advice : str
        What to do; empty if nothing has to be done.
    """

    level: str
    about: str
    text: str
    advice: str = ""


def examine(server: str | None, tell: Callable[[str], object]) -> Iterator[Finding]:
    """Look at everything, one after the other.

    Parameters
    ----------
    server : str or None
        A server that is to be looked at, too: as for `reaching.address_of`.
    tell : callable
        Is told what is looked at next, if that may take long.
    """
    yield from check_versions()
    yield check_curve()
    yield from check_key()
    yield from check_directory()
    yield check_descriptors()
    for road in ("direct", "zmq"):
        tell(f"starting a node, to call it by the road {road} ...")
        yield check_node(road)
    if server is not None:
        tell(f"asking {server} ...")
        yield check_server(server)


def check_versions() -> Iterator[Finding]:
    """Look at what is installed."""
    python = f"Python {platform.python_version()} on {platform.system()}"
    yield Finding("ok", "versions", f"pyacq-rpc {__version__}, protocol {VERSION}, {python}")
    needed = [f"{name} {importlib.metadata.version(name)}" for name in _NEEDED]
    text = ", ".join([*needed, f"libzmq {zmq.zmq_version()}"])
    if zmq.zmq_version_info() < _OLDEST_ZMQ:
        yield Finding("fail", "versions", text, "libzmq is too old: pip install -U pyzmq")
    else:
        yield Finding("ok", "versions", text)
    there, missing = [], []
    for name, what_for in _OPTIONAL.items():
        try:
            there.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(f"without {name}: no {what_for}")
    yield Finding("ok", "optional", ", ".join(there) or "nothing", "; ".join(missing))


def check_curve() -> Finding:
    """Look whether libzmq can encrypt."""
    if zmq.has("curve"):
        return Finding("ok", "encryption", "libzmq has CURVE")
    return Finding(
        "fail",
        "encryption",
        "libzmq was built without CURVE, so no server can listen",
        "install pyzmq as a wheel: pip install --force-reinstall --only-binary :all: pyzmq",
    )


def check_key() -> Iterator[Finding]:
    """Look at the user's key, and whom it lets in."""
    path = key_path()
    said = f", as {KEY_VARIABLE} says" if os.environ.get(KEY_VARIABLE) else ""
    try:
        key = load_key(path)
    except FileNotFoundError:
        folder = path
        while not os.path.exists(folder):
            folder = os.path.dirname(folder) or "."
        if os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK):
            yield Finding("ok", "key", f"none yet at {path}{said}; the first server makes it")
        else:
            advice = f"say with {KEY_VARIABLE} where it can be"
            yield Finding("fail", "key", f"none at {path}{said}, and none can be made", advice)
    except (OSError, ValueError) as error:
        yield Finding("fail", "key", str(error), f"the key is looked for at {path}{said}")
    else:
        yield Finding("ok", "key", f"{path}{said}, public half {key.public.decode()}")
        try:
            others = ", ".join(admitted(path))
        except OSError as error:
            yield Finding("fail", "key", str(error))
        else:
            if others:
                yield Finding("ok", "key", f"lets in, too: {others}")


def check_directory() -> Iterator[Finding]:
    """Look at where sockets are, and what servers are listed."""
    if not hasattr(os, "getuid"):
        yield Finding("ok", "directory", f"none is used on {platform.system()}")
        return
    try:
        directory = private_directory()
        names = os.listdir(directory)
    except OSError as error:
        advice = "messages on this host take the slow road, and no server is listed"
        yield Finding("fail", "directory", str(error), advice)
        return
    stale = [name for name in names if is_stale(directory, name)]
    if not os.access(directory, os.W_OK):
        advice = "messages on this host take the slow road, and no server is listed"
        yield Finding("fail", "directory", f"{directory} cannot be written to", advice)
    elif stale:
        yield Finding(
            "warn",
            "directory",
            f"{directory} has {len(stale)} files of processes that were killed",
            "the next server removes them",
        )
    else:
        yield Finding("ok", "directory", f"{directory}, {len(names)} files")


def check_descriptors() -> Finding:
    """Look how many descriptors a process may have."""
    try:
        import resource
    except ImportError:
        return Finding("ok", "descriptors", "no limit is known here")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= ENOUGH:
        return Finding("ok", "descriptors", f"{soft} for each process")
    return Finding(
        "warn",
        "descriptors",
        f"only {soft} for each process; each client takes about four",
        f"'ulimit -n {hard}' raises it in this shell",
    )


def check_node(road: str) -> Finding:
    """Start a node, and call it by one of the roads."""
    from spawner import ProcessSpawner, SpawnError

    about = "direct road" if road == "direct" else "ZeroMQ"
    if road == "direct":
        if not is_available():
            text = f"there is none on {platform.system()}; ZeroMQ is used"
            return Finding("ok", about, text)
        if os.environ.get(ROADS_VARIABLE, "all") == "zmq":
            return Finding("warn", about, f"{ROADS_VARIABLE}=zmq turns it off", "unset that")
    env: dict[str, str | None] = {ROADS_VARIABLE: "zmq"} if road == "zmq" else {}
    try:
        with ProcessSpawner(name="doctor", env=env, output="capture") as node:
            client = node.client
            client.timeout = PATIENCE
            client.ping()
            if road == "direct" and not _is_moved(client):
                return Finding(
                    "warn",
                    about,
                    "a node was called by ZeroMQ, which is slower",
                    "see whether the directory above can be written to, and is not on a disk that"
                    " knows no sockets",
                )
            return Finding("ok", about, f"a node of {os.path.basename(sys.executable)} answers")
    except (SpawnError, RPCError, OSError, ValueError) as error:
        return Finding("fail", about, f"no node can be started and called: {sentence_of(error)}")


def _is_moved(client: RPCClient) -> bool:
    """Whether messages take the direct road, after a moment if need be."""
    deadline = time.monotonic() + MOVING
    while not client.channel.signals():
        if time.monotonic() > deadline:
            return False
        client.ping()  # an answer brings the way to it
    return True


def check_server(server: str) -> Finding:
    """Look what there is at an address."""
    try:
        address = address_of(server)
    except CommandError as error:
        return Finding("fail", server, str(error))
    found = diagnose(address)
    level = "ok" if found.state == "alive" else "warn" if found.state in GOOD else "fail"
    return Finding(level, server, f"{found.state}: {found.text}", found.advice)
