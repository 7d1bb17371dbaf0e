"""The direct road between processes of one user on one host: where it begins.

A server listens on a Unix socket in a directory that only its user can enter,
and tells its clients where, and each of them a token of its own. A client that
reaches the socket shows its token. On another host, or in another container,
it does not reach it, and goes on as it began.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import stat

from ..limits import Limits
from .stream import Stream

__all__ = [
    "DirectListener",
    "connect_direct",
    "is_available",
    "is_stale",
    "private_directory",
    "sweep",
]

_TOKEN_LENGTH = 32
_BACKLOG = 4096
_SILENT = 64
"""Connections that may have shown no token yet; beyond that, the oldest is closed."""


def is_available() -> bool:
    """Whether this platform has what the direct road needs."""
    return hasattr(socket, "AF_UNIX") and hasattr(select, "epoll")


def private_directory() -> str:
    """Return the directory for sockets that only this user can enter; make it if needed.

    Raises
    ------
    PermissionError
        If what is there is not a directory of that kind.
    """
    base = os.environ.get("XDG_RUNTIME_DIR")
    if base and os.access(base, os.W_OK):
        path = os.path.join(base, "pyacq-rpc")
    else:
        base = os.environ.get("TMPDIR", "/tmp")  # noqa: S108  # nothing is trusted unseen
        path = os.path.join(base, f"pyacq-rpc-{os.getuid()}")
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(
            f"{path} is not a directory that only you can enter: somebody else may have put it"
            " there; remove it, or say with XDG_RUNTIME_DIR where another one can be made"
        )
    return path


_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class DirectListener:
    """Where a server's direct road begins.

    Parameters
    ----------
    limits : Limits, optional
        Of what comes over it.

    Attributes
    ----------
    path : str
        Of the socket. Half of its name is random: on another host there is
        none of that name.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        directory = private_directory()
        sweep(directory)
        self.path = os.path.join(directory, f"{os.getpid()}-{os.urandom(8).hex()}")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        self._socket.bind(self.path)
        self._socket.listen(_BACKLOG)
        self._expected: set[str] = set()
        self._silent: list[socket.socket] = []  # those that have not shown a token yet
        self._shown: dict[str, Stream] = {}

    def expect(self) -> str:
        """Return the token for a new client.

        Raises
        ------
        OSError
            If there is no descriptor for it.
        """
        os.close(os.dup(self._socket.fileno()))
        token = os.urandom(_TOKEN_LENGTH // 2).hex()
        self._expected.add(token)
        return token

    def accept(self, token: str) -> Stream | None:
        """Return the connection over which that token came, if it has come.

        Whoever was asked to come has connected, and shown it, before saying so
        elsewhere.

        Raises
        ------
        OSError
            If it may have come, and there is no descriptor for it now.
        """
        for sock in list(self._silent):
            self._read_token(sock)
        try:
            self._accept_all()
        except OSError:
            if token not in self._shown:
                raise
        return self._shown.pop(token, None)

    def forget(self, token: str) -> None:
        """The client of this token is gone, or has been accepted."""
        self._expected.discard(token)
        stream = self._shown.pop(token, None)
        if stream is not None:
            stream.close()

    def _accept_all(self) -> None:
        while True:
            try:
                sock, _ = self._socket.accept()
            except OSError as error:
                if error.errno in _NO_ROOM:
                    raise
                return  # there is none that waits, or it has gone again
            sock.setblocking(False)
            self._silent.append(sock)
            self._read_token(sock)
            if len(self._silent) > _SILENT:
                self._silent.pop(0).close()

    def _read_token(self, sock: socket.socket) -> None:
        try:
            shown = sock.recv(_TOKEN_LENGTH).decode("ascii", "replace")
        except BlockingIOError:
            return
        except OSError:
            shown = ""
        self._silent.remove(sock)
        if shown in self._expected:
            self._expected.discard(shown)
            self._shown[shown] = Stream(sock, self._limits)
        else:
            sock.close()

    def close(self) -> None:
        """Stop listening, and remove the socket."""
        self.abandon()
        with contextlib.suppress(OSError):
            os.unlink(self.path)

    def abandon(self) -> None:
        """In the child of a fork: let go of what is the parent's."""
        self._socket.close()
        for sock in self._silent:
            sock.close()
        for stream in self._shown.values():
            stream.close()


def connect_direct(path: str, token: str) -> Stream | None:
    """Connect to a server's socket and show the token, if it can be reached."""
    if not is_available():
        return None
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.setblocking(False)
    try:
        sock.connect(path)
        sent = sock.send(token.encode())
    except OSError:
        sent = 0
    if sent != _TOKEN_LENGTH:
        sock.close()
        return None
    return Stream(sock)


def sweep(directory: str) -> None:
    """Remove what was left by processes that could not do so themselves, since they were killed.

    Parameters
    ----------
    directory : str
        That of `private_directory`.
    """
    for name in os.listdir(directory):
        if is_stale(directory, name):
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(directory, name))


def is_stale(directory: str, name: str) -> bool:
    """Whether a socket, or the file that lists its server, is of a process that has ended.

    Parameters
    ----------
    directory : str
        That of `private_directory`.
    name : str
        Begins with the process's number, and a dash.
    """
    pid, found, _ = name.partition("-")
    if not found or not pid.isdigit() or _runs(int(pid)):
        return False
    return not _listens(os.path.join(directory, name.partition(".")[0]))


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _listens(path: str) -> bool:
    # From inside of another container, its processes do not seem to exist.
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.setblocking(False)
        try:
            sock.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True
    return True
