"""Finds the server that a user means, connects to it, and says why that is not possible."""

from __future__ import annotations

import socket
from typing import NamedTuple

from pyacq_rpc import AuthenticationError, RPCClient, ServerDisconnected

from ..transport.greeting import SIGNATURE, first_byte
from ..transport.listed import ListedServer, listed_servers
from ..transport.sockets import clean_address
from .failing import CommandError

__all__ = ["Diagnosis", "address_of", "all_listed", "client_at", "diagnose", "reach"]

PATIENCE = 5.0
"""Seconds to wait for a sign of life, each time."""

GOOD = ("alive", "busy")
"""The states in which a server can be used."""


class Diagnosis(NamedTuple):
    """What there is at an address.

    Attributes
    ----------
    state : str
        ``'alive'`` or ``'busy'``; or why it is of no use: ``'nobody'`` listens, ``'unknown
        host'``, ``'unreachable'``, ``'silent'``, ``'frozen'``, ``'foreign'``, ``'refused'``,
        ``'other version'``, ``'gone'``.
    text : str
        The same in words.
    advice : str
        What to do; empty if nothing has to be done.
    """

    state: str
    text: str
    advice: str = ""


def address_of(server: str) -> str:
    """Return the address of a server that is named by a user.

    Parameters
    ----------
    server : str
        Its address, or the name by which it is listed on this host.

    Raises
    ------
    CommandError
        If it is neither, or several have that name.
    """
    if "://" in server:
        try:
            address = clean_address(server)
        except ValueError as error:
            raise CommandError(str(error)) from None
        if address.startswith("inproc:"):
            raise CommandError(f"{address} is within one process, where no other one reaches it")
        if address.endswith(":*"):
            raise CommandError(f"{address} is not where a server is, but where one may listen")
        return address
    found = [listed.address for listed in all_listed() if listed.name == server]
    if len(found) == 1:
        return found[0]
    if found:
        raise CommandError(f"several servers are called {server}; say which: {', '.join(found)}")
    raise CommandError(
        f"no server of yours on this host is called {server}; 'pyacq-rpc ls' lists them, and an"
        " address, for any other one, looks like tcp://127.0.0.1:5000"
    )


def all_listed() -> list[ListedServer]:
    """Return what is listed.

    Raises
    ------
    CommandError
        If the directory with the list is not to be trusted.
    """
    try:
        return listed_servers()
    except OSError as error:
        raise CommandError(str(error)) from None


def reach(server: str, timeout: float = PATIENCE) -> RPCClient:
    """Return a client of a server that is there, if only busy.

    Parameters
    ----------
    server : str
        As for `address_of`.
    timeout : float
        Seconds to wait for a sign of life, each time.

    Raises
    ------
    CommandError
        If there is none, or it cannot be used; says what to do.
    """
    address = address_of(server)
    found = diagnose(address, timeout)
    if found.state not in GOOD:
        raise CommandError("; ".join(filter(None, (found.text, found.advice))))
    return client_at(address)


def client_at(address: str) -> RPCClient:
    """Return this thread's client of the server there, whether there is one or not.

    Raises
    ------
    CommandError
        If the user has no key that can be used.
    """
    try:
        client = RPCClient.get_client(address)
    except (OSError, ValueError) as error:
        raise CommandError(str(error)) from None
    assert client is not None  # there is no server in the thread of a command
    return client


def diagnose(address: str, timeout: float = PATIENCE) -> Diagnosis:
    """Find out what there is at an address.

    Parameters
    ----------
    address : str
        With the transport ``tcp`` or ``ipc``.
    timeout : float
        Seconds to wait for a sign of life, each time.

    Examples
    --------
    >>> diagnose("tcp://127.0.0.1:1").text
    'nobody listens at tcp://127.0.0.1:1'
    """
    host = address.partition("://")[2].rpartition(":")[0]
    try:
        first = first_byte(address, timeout)
    except (ConnectionRefusedError, FileNotFoundError):
        return Diagnosis(
            "nobody",
            f"nobody listens at {address}",
            "is it running? 'pyacq-rpc ls' lists your servers on this host",
        )
    except TimeoutError:
        return _silent(address)
    except (socket.gaierror, UnicodeError):
        return Diagnosis(
            "unknown host", f"there is no host {host}", "look for a typing error in the address"
        )
    except ConnectionError:
        first = b""
    except OSError as error:
        return Diagnosis(
            "unreachable",
            f"{address} cannot be reached: {error.strerror or error}",
            "see to the network, or the permissions of the socket",
        )
    if first != SIGNATURE:
        return Diagnosis(
            "foreign",
            f"who listens at {address} does not speak ZeroMQ",
            "look for a typing error in the port",
        )
    return _ask(address, timeout)


def _silent(address: str) -> Diagnosis:
    """Tell more of who takes connections, or does not, and says nothing."""
    for listed in all_listed():
        if listed.address == address:
            return Diagnosis(
                "frozen",
                f"{listed.name} ({address}) gives no sign of life: process {listed.pid} is frozen",
                f"'kill -CONT {listed.pid}' lets it go on if it was stopped, 'kill -KILL"
                f" {listed.pid}' ends it",
            )
    return Diagnosis(
        "silent",
        f"no sign of life from {address}",
        "its process is frozen, a firewall drops what is sent there, or something else listens",
    )


def _ask(address: str, timeout: float) -> Diagnosis:
    client = client_at(address)
    status = client.status(timeout)
    gone = client.channel.gone
    if status.state == "dead" or gone is not None:
        return _refused(address, gone)
    if status.state == "unresponsive":
        return _silent(address)
    if client.server_id is None:
        return Diagnosis(
            "busy",
            f"who listens at {address} has not answered after {timeout:g} s",
            "it may be busy with something that does not let go of the interpreter, or be no"
            " server of pyacq-rpc",
        )
    whom = client.channel.server
    if status.state == "busy":
        what = f"busy with {status.doing}" if status.doing else "busy"
        since = f" for {status.seconds:.1f} s" if status.seconds is not None else ""
        return Diagnosis("busy", f"{whom} is {what}{since}")
    return Diagnosis("alive", f"{whom} answers")


def _refused(address: str, why: ServerDisconnected | None) -> Diagnosis:
    text = str(why) if why is not None else f"nobody listens at {address} any more"
    if isinstance(why, AuthenticationError):
        return Diagnosis("refused", text)  # which says what to do
    if "protocol version" in text:
        return Diagnosis(
            "other version", text, "install the same version of pyacq-rpc on both sides"
        )
    return Diagnosis("gone", text, "it has just ended; try again when it runs")
