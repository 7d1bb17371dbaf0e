"""The user's key: who holds it may connect, and everybody else may not.

It is a pair of CURVE keys (ZeroMQ RFC 26), kept in a file that only the user
can read, in the format of ZeroMQ certificates (ZPL, RFC 4). Servers have it
for their own, so that a client with the same file knows whom it speaks to.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from typing import NamedTuple, Union

import zmq

from .addresses import host_of

__all__ = [
    "KEY_VARIABLE",
    "Key",
    "KeyOrPath",
    "admitted",
    "admitted_file",
    "be_client",
    "be_server",
    "export_key",
    "host_key",
    "import_key",
    "key_path",
    "load_key",
    "revoke_key",
    "user_key",
]

KEY_VARIABLE = "PYACQ_RPC_KEY"
"""Environment variable: the file with the user's key."""

_LENGTH = 40
"""Of a CURVE key, in characters of Z85 (RFC 32)."""

_ADMITTED = ".admitted"
"""What the name of the directory ends with that holds whom else a key admits."""

_HOSTS = "hosts"
"""The directory, beside the user's key, of the keys for other machines' servers."""

_FILE = """\
# The key of {who} for pyacq-rpc, a ZeroMQ CURVE certificate.
# Whoever can read this file can run code as {whom}: keep it to yourself.

curve
    public-key = "{public}"
    secret-key = "{secret}"
"""

_SERVER = """\
    server-key = "{server}"
"""

_PUBLIC = """\
# Whoever has the secret half of this key may connect to the servers of this user.

curve
    public-key = "{public}"
"""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")


class Key(NamedTuple):
    """A pair of CURVE keys, in Z85.

    Attributes
    ----------
    public, secret : bytes
    server : bytes
        The public key of the servers that it is for: its own, for a user's.
    path : str
        The file that it was read from, if it was.
    """

    public: bytes
    secret: bytes
    server: bytes
    path: str = ""

    def admits(self, client: bytes) -> bool:
        """Whether a server with this key may be connected to by a client with that public key."""
        return client == self.public or (bool(self.path) and client in admitted(self.path).values())


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
    """Have a socket encrypt, for the servers that a key is for; then connect it."""
    socket.setsockopt(zmq.CURVE_SERVERKEY, key.server)
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
        try:
            _make(path)
        except OSError as error:
            raise OSError(
                error.errno,
                f"your key cannot be made ({error.strerror}); say where it can be, with"
                f" {KEY_VARIABLE} in the environment",
                path,
            ) from error
        return load_key(path)


def load_key(path: str) -> Key:
    """Return the key in a file; the errors are those of `user_key`."""
    with open(path, encoding="utf-8", errors="replace") as file:
        _check(path, os.fstat(file.fileno()))
        text = file.read(4096)
    found = _fields(text)
    public, secret = found.get("public-key", b""), found.get("secret-key", b"")
    if len(public) != _LENGTH or len(secret) != _LENGTH or not _is_pair(public, secret):
        raise ValueError(
            f"{path} holds no key of pyacq-rpc; move it away, and another one will be made"
        )
    return Key(public, secret, found.get("server-key", public), path)


def host_key(path: str, address: str) -> Key | None:
    """Return the key that was imported for the host of an address, if one was.

    Parameters
    ----------
    path : str
        Of the user's key.
    address : str

    Raises
    ------
    OSError, ValueError
        As for `user_key`.
    """
    host = host_of(address)
    if not _NAME.match(host):
        return None
    try:
        return load_key(os.path.join(os.path.dirname(path), _HOSTS, host))
    except FileNotFoundError:
        return None


def import_key(path: str, text: str, host: str) -> str:
    """Keep a key that somebody has exported, for the servers on a host.

    Parameters
    ----------
    path : str
        Of the user's key.
    text : str
        What `export_key` has returned there.
    host : str
        As in the addresses of its servers.

    Returns
    -------
    str
        The file that it is in now.

    Raises
    ------
    ValueError
        If it is no such key, or the host cannot be one.
    OSError
        If it cannot be written.
    """
    found = _fields(text)
    if not {"public-key", "secret-key", "server-key"} <= found.keys():
        raise ValueError("this is no key that pyacq-rpc has exported")
    kept = os.path.join(os.path.dirname(path), _HOSTS, _checked("host", host))
    _write(kept, text, replace=True)
    return kept


def export_key(path: str, name: str) -> str:
    """Return a new key for somebody else, who may connect to this user's servers with it.

    Parameters
    ----------
    path : str
        Of the user's key.
    name : str
        What it is called here, to `revoke_key` it.

    Raises
    ------
    FileExistsError
        If there is one of that name.
    ValueError
        If that cannot be a name.
    """
    own = user_key(path)
    public, secret = (part.decode() for part in zmq.curve_keypair())
    kept = os.path.join(path + _ADMITTED, _checked("name", name))
    if os.path.exists(kept):
        raise FileExistsError(
            f"there is a key called {name} already; revoke it, or take another name"
        )
    _write(kept, _PUBLIC.format(public=public))
    whole = _FILE.format(
        who=f"{name}, from {_user_name()},", whom=_user_name(), public=public, secret=secret
    )
    return whole + _SERVER.format(server=own.public.decode())


def revoke_key(path: str, name: str) -> None:
    """Let whoever has that key in no more; who is connected is sent away.

    A server does that at the next message of such a client; a request that has
    begun goes on.

    Raises
    ------
    FileNotFoundError
        If there is none of that name.
    """
    kept = os.path.join(path + _ADMITTED, _checked("name", name))
    try:
        os.unlink(kept)
    except FileNotFoundError:
        known = ", ".join(admitted(path)) or "none"
        raise FileNotFoundError(f"there is no key called {name}; known: {known}") from None


def admitted(path: str) -> dict[str, bytes]:
    """Return whom else a key admits: the names, and their public keys.

    Raises
    ------
    PermissionError
        If somebody else may have added to them.
    """
    return {name: public for name, public, _ in _read_admitted(path)}


def admitted_file(path: str, public: bytes) -> tuple[str, os.stat_result] | None:
    """Return the file by which a key admits that public key, or None; raises as `admitted`."""
    for name, other, found in _read_admitted(path):
        if other == public:
            return os.path.join(path + _ADMITTED, name), found
    return None


def _read_admitted(path: str) -> Iterator[tuple[str, bytes, os.stat_result]]:
    folder = path + _ADMITTED
    try:
        _check_folder(folder, os.stat(folder))
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return
    for name in names:
        with contextlib.suppress(OSError), open(os.path.join(folder, name)) as file:
            public = _fields(file.read(4096)).get("public-key", b"")
            if len(public) == _LENGTH:
                yield name, public, os.fstat(file.fileno())


def _fields(text: str) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals:
            found[name.strip()] = value.strip().strip("\"'").encode()
    return found


def _checked(what: str, name: str) -> str:
    if not _NAME.match(name):
        raise ValueError(f"{name!r} is no {what}: letters, digits, dots and dashes, please")
    return name


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


def _check_folder(path: str, found: os.stat_result) -> None:
    if hasattr(os, "getuid") and (found.st_uid not in (os.getuid(), 0) or found.st_mode & 0o022):
        raise PermissionError(
            f"others can write to {path}, and may have let themselves in: see which keys there"
            f" are yours, then chmod 700 {path}"
        )


def _make(path: str) -> None:
    public, secret = (part.decode() for part in zmq.curve_keypair())
    user = _user_name()
    _write(path, _FILE.format(who=user, whom=user, public=public, secret=secret))


def _write(path: str, text: str, replace: bool = False) -> None:
    """Write a file, whole or not at all; another process may be doing the same."""
    os.makedirs(os.path.dirname(os.path.abspath(path)), mode=0o700, exist_ok=True)
    draft = os.path.join(
        os.path.dirname(path), f".{os.path.basename(path)}-{os.getpid()}-{os.urandom(4).hex()}"
    )
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
        if replace:
            os.replace(draft, path)
        else:
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
