"""What an address means: whom it is for, and what it is called on another host."""

from __future__ import annotations

import socket

__all__ = ["host_of", "is_beyond_loopback", "is_here", "seen_from_here"]

_ANY = frozenset({"*", "0.0.0.0", "::"})  # noqa: S104  # to be told apart, not to be bound
"""Stand for all interfaces of a host."""


def host_of(address: str) -> str:
    """Return the host in an address; empty if that is not of tcp.

    Examples
    --------
    >>> host_of("tcp://lab:5000")
    'lab'
    >>> host_of("inproc://here")
    ''
    """
    transport, _, where = address.partition("://")
    return where.rpartition(":")[0].strip("[]") if transport == "tcp" else ""


def is_beyond_loopback(address: str) -> bool:
    """Whether what listens there can be reached from other hosts.

    Examples
    --------
    >>> is_beyond_loopback("tcp://0.0.0.0:5000"), is_beyond_loopback("tcp://127.0.0.1:5000")
    (True, False)
    """
    host = host_of(address)
    return bool(host) and not _is_loopback(host)


def is_here(host: str) -> bool:
    """Whether a host is this one, whatever it is called."""
    if not host or host in _ANY or _is_loopback(host):
        return True
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, 0))  # nothing is sent; it works for addresses of this host only
        except OSError:
            return False
    return True


def seen_from_here(address: str, teller: str) -> str:
    """Return where this host reaches a server that a peer has told of.

    Parameters
    ----------
    address : str
        As the peer knows it.
    teller : str
        The peer's host, as seen from here; empty for this one.

    Raises
    ------
    ValueError
        If only the peer's own host reaches it.

    Examples
    --------
    >>> seen_from_here("tcp://0.0.0.0:5000", "192.0.2.1")
    'tcp://192.0.2.1:5000'
    """
    if is_here(teller):
        return address
    host = host_of(address)
    if host in _ANY:
        port = address.rpartition(":")[2]
        return f"tcp://[{teller}]:{port}" if ":" in teller else f"tcp://{teller}:{port}"
    if not is_beyond_loopback(address):
        raise ValueError(
            f"the server at {address} can only be reached on {teller} itself: have it listen at"
            " 'tcp://0.0.0.0:*' instead; a callback has the server of the thread that sends it:"
            " RPCServer('tcp://0.0.0.0:*').run_lazy()"
        )
    return address


def _is_loopback(host: str) -> bool:
    return host == "localhost" or host.startswith("127.") or host == "::1"
