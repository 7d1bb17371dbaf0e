"""Which servers of this user run on this host: each says so in a file of its own.

The file lies in the directory that only the user can enter, next to the socket
of the direct road, and goes with the server. It is a hint where to look and no
more: who really listens at an address has to prove it with the key. Where the
file cannot be written, the server is not listed, and nothing else changes.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import time
from typing import Any, NamedTuple

from ..late_logging import getLogger
from .direct import is_stale, private_directory
from .sockets import clean_address

__all__ = ["LISTED_VARIABLE", "ListedServer", "Listing", "listed_servers"]

_log = getLogger(__name__)

LISTED_VARIABLE = "PYACQ_RPC_LISTED"
"""Environment variable: with ``0`` no server of the process is listed."""

SUFFIX = ".json"

_LARGEST = 4096
"""Bytes of a file that is read; ours are written in one piece."""


class ListedServer(NamedTuple):
    """What a server tells of itself.

    Attributes
    ----------
    name : str
        What it is called.
    address : str
        Where it listens.
    pid : int
        Its process.
    server_id : str
        Names this incarnation.
    since : float
        When it was made, in seconds since 1970.
    """

    name: str
    address: str
    pid: int
    server_id: str
    since: float


class Listing:
    """The file that lists one server.

    Parameters
    ----------
    name, address, server_id : str
        Of the server, as in `ListedServer`.
    socket_path : str, optional
        Of its direct road, which tells better than a pid whether it is alive.

    Attributes
    ----------
    path : str
        Of the file; empty if there is none.
    """

    def __init__(self, name: str, address: str, server_id: str, socket_path: str = "") -> None:
        self.path = ""
        if not _is_wanted(address):
            return
        told = ListedServer(name, address, os.getpid(), server_id, time.time())
        try:
            if not socket_path:
                unique = f"{told.pid}-{os.urandom(8).hex()}"
                socket_path = os.path.join(private_directory(), unique)
            path = socket_path + SUFFIX
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            self.path = path
            try:
                text = json.dumps(told._asdict()).encode()
                # In one step: who reads a half of it would find no server.
                if len(text) > _LARGEST or os.write(fd, text) != len(text):
                    raise OSError("there is no room for the file")
            finally:
                os.close(fd)
        except OSError as error:
            _log.debug("the server %s is not listed: %s", name, error)
            self.remove()

    def remove(self) -> None:
        """List the server no more."""
        path, self.path = self.path, ""
        if path:
            with contextlib.suppress(OSError):
                os.unlink(path)


def listed_servers() -> list[ListedServer]:
    """Return the servers of this user on this host, the oldest first.

    One that was killed is left out, and so is what is no such file. Whether the others
    answer is to be asked of them.

    Raises
    ------
    OSError
        If the directory is not one that only this user can enter, or cannot be made.

    Examples
    --------
    >>> server = RPCServer(name="lab")
    >>> "lab" in [listed.name for listed in listed_servers()]
    True
    >>> server.close()
    >>> "lab" in [listed.name for listed in listed_servers()]
    False
    """
    if not hasattr(os, "getuid"):
        return []
    directory = private_directory()
    names = [name for name in os.listdir(directory) if name.endswith(SUFFIX)]
    found = [
        _read(os.path.join(directory, name)) for name in names if not is_stale(directory, name)
    ]
    return sorted((server for server in found if server is not None), key=lambda it: it.since)


def _is_wanted(address: str) -> bool:
    """Whether others could use it, and are to know of it."""
    return (
        hasattr(os, "getuid")
        and not address.startswith("inproc:")
        and os.environ.get(LISTED_VARIABLE, "1") != "0"
    )


def _read(path: str) -> ListedServer | None:
    """Return what a file says; None if it has gone, or was not written by a server."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode) or found.st_uid != os.getuid():
                return None
            text = os.read(fd, _LARGEST + 1)
        finally:
            os.close(fd)
        return _parse(json.loads(text))
    except (OSError, ValueError, RecursionError):
        return None


def _parse(told: Any) -> ListedServer | None:
    if not isinstance(told, dict):
        return None
    try:
        values = [told[field] for field in ListedServer._fields]
    except KeyError:
        return None
    name, address, pid, server_id, since = values
    if not all(isinstance(text, str) for text in (name, address, server_id)):
        return None
    if type(pid) is not int or type(since) not in (int, float):
        return None
    return ListedServer(name, clean_address(address), pid, server_id, since)
