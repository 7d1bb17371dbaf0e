"""A server in a thread of its own, that ends with the process."""

from __future__ import annotations

import threading

from .server import ServerCore

__all__ = ["start_background"]


def start_background(name: str) -> ServerCore:
    """Return a server that runs in a new thread of its own, a daemon.

    Parameters
    ----------
    name : str
        What the server is called in logs and error messages.

    Examples
    --------
    >>> server = start_background("example")
    >>> RPCClient(server.address).ping()
    'pong'
    """
    server = ServerCore(name=name, listed=False)  # for callbacks: nobody looks for it
    ready = threading.Event()

    def run() -> None:
        ServerCore.register_server(server)
        ready.set()
        server.serve_until_closed()

    threading.Thread(target=run, name=f"pyacq-rpc {name}", daemon=True).start()
    ready.wait()
    return server
