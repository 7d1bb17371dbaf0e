"""The user's key: who holds it may connect, and everybody else may not.

It is a pair of CURVE keys (ZeroMQ RFC 26), kept in a file that only the user
can read, in the format of ZeroMQ certificates (ZPL, RFC 4). Servers have it
for their own, so that a client with the same file knows whom it speaks to.
"""

from __future__ import annotations

import contextlib
import os
from typing import NamedTuple, Union

import zmq

__all__ = [
    "KEY_VARIABLE",
    "Key",
    "KeyOrPath",
    "be_client",
    "be_server",
    "key_path",
    "load_key",
    "user_key",
]

KEY_VARIABLE = "PYACQ_RPC_KEY"
"""Environment variable: the file with the user's key."""

_LENGTH = 40
"""Of a CURVE key, in characters of Z85 (RFC 32)."""

_FILE = """\
# The key of {user} for pyacq-rpc, a ZeroMQ CURVE certificate.
# Whoever can read this file can run code as you: keep it to yourself.

curve
    public-key = "{public}"
    secret-key = "{secret}"
"""


class Key(NamedTuple):
    """A pair of CURVE keys, in Z85.

    Attributes
    ----------
    public, secret : bytes
    """

    public: bytes
    secret: bytes


KeyOrPath = Union[Key, str, "os.PathLike[str]"]
"""How a user says which key to use."""


def be_server(socket: zmq.Socket[bytes], key: Key) -> None:
    """Have a socket encrypt, and admit whom the `gate.Gate` of its context does; then bind it."""
    socket.setsockopt(zmq.CURVE_SERVER, 1)
    socket.setsockopt(zmq.CURVE_PUBLICKEY, key.public)
    socket.setsockopt(zmq.CURVE_SECRETKEY, key.secret)
    socket.setsockopt(zmq.ZAP_DOMAIN, key.public)
    socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)  # nobody gets in while nobody judges


def be_client(socket: zmq.Socket[bytes], key: Key) -> None:
    """Have a socket encrypt, for a server that has the same key; then connect it."""
    socket.setsockopt(zmq.CURVE_SERVERKEY, key.public)
    socket.setsockopt(zmq.CURVE_PUBLICKEY, key.public)
    socket.setsockopt(zmq.CURVE_SECRETKEY, key.secret)


def key_path(path: str | os.PathLike[str] | None = None) -> str:
    """Return where the user's key is.

    Parameters
    ----------
    path : str or path, optional
        Where the caller says it is; by default what the environment variable
        ``PYACQ_RPC_KEY`` says, else ``pyacq-rpc/key`` in the user's directory
        for configuration (``XDG_CONFIG_HOME``, ``~/.config``).

    Examples
    --------
    >>> key_path("/keys/lab")
    '/keys/lab'
    """
    chosen = path if path is not None else os.environ.get(KEY_VARIABLE)
    if chosen:
        return os.path.expanduser(chosen)
    base = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return os.path.join(base, "pyacq-rpc", "key")


def user_key(path: str) -> Key:
    """Return the user's key; make it if there is none.

    Raises
    ------
    PermissionError
        If others can read it, or it is somebody else's.
    ValueError
        If the file is no key.
    OSError
        If it cannot be read, or made.
    """
    try:
        return load_key(path)
    except FileNotFoundError:
        _make(path)
        return load_key(path)


def load_key(path: str) -> Key:
    """Return the key in a file; the errors are those of `user_key`."""
    with open(path, encoding="utf-8", errors="replace") as file:
        _check(path, os.fstat(file.fileno()))
        text = file.read(4096)
    found: dict[str, bytes] = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals:
            found[name.strip()] = value.strip().strip("\"'").encode()
    public, secret = found.get("public-key", b""), found.get("secret-key", b"")
    if len(public) != _LENGTH or len(secret) != _LENGTH or not _is_pair(public, secret):
        raise ValueError(
            f"{path} holds no key of pyacq-rpc; move it away, and another one will be made"
        )
    return Key(public, secret)


def _is_pair(public: bytes, secret: bytes) -> bool:
    try:
        return zmq.curve_public(secret) == public
    except zmq.ZMQError:  # it is not in Z85
        return False


def _check(path: str, found: os.stat_result) -> None:
    if not hasattr(os, "getuid"):
        return  # Windows: what is in a user's profile is that user's
    if found.st_uid not in (os.getuid(), 0):
        raise PermissionError(f"{path} belongs to another user; a key of yours has to be yours")
    if found.st_mode & 0o077:
        raise PermissionError(
            f"others can read the key in {path}, and may have: remove it, and another one will be"
            f" made; or, if you are sure, chmod 600 {path}"
        )


def _make(path: str) -> None:
    """Write a new key, whole or not at all; another process may be doing the same."""
    public, secret = zmq.curve_keypair()
    text = _FILE.format(user=_user_name(), public=public.decode(), secret=secret.decode())
    os.makedirs(os.path.dirname(os.path.abspath(path)), mode=0o700, exist_ok=True)
    draft = f"{path}.{os.getpid()}-{os.urandom(4).hex()}"
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
        with contextlib.suppress(FileExistsError):  # the other one was first
            _link(draft, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft)


def _link(draft: str, path: str) -> None:
    """Give a file its name, unless something has that name."""
    if hasattr(os, "link"):
        os.link(draft, path)
    else:
        os.rename(draft, path)  # fails on Windows if there is something


def _user_name() -> str:
    return os.environ.get("USER") or os.environ.get("USERNAME") or "this user"
