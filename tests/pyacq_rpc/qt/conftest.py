"""The application, and ways to let its event loop run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from event_loop import turn_until

from pyacq_rpc import QtRPCServer, RPCClient
from spawner import ProcessSpawner


@pytest.fixture
def qt_server(app: Any) -> Iterator[QtRPCServer]:
    """A server in this thread's event loop."""
    server = QtRPCServer(quit_on_close=False, name="gui")
    server.run_forever()
    yield server
    server.close()
    assert server.listener.closed


@pytest.fixture
def elsewhere(qt_server: QtRPCServer) -> Callable[[Callable[[RPCClient], Any]], Any]:
    """Do something with a client in another thread, while the event loop runs here."""

    def run(act: Callable[[RPCClient], Any]) -> Any:
        found: list[Any] = []

        def body() -> None:
            client = RPCClient(qt_server.address)
            try:
                found.append(act(client))
            except BaseException as error:  # noqa: BLE001  # raised again below
                found.append(error)
            client.close()

        thread = threading.Thread(target=body)
        thread.start()
        assert turn_until(lambda: found)
        thread.join(10)
        if isinstance(found[0], BaseException):
            raise found[0]
        return found[0]

    return run


@pytest.fixture
def node() -> Iterator[ProcessSpawner]:
    """A plain node in another process."""
    with ProcessSpawner() as node:
        yield node
