"""How each project serves a `Thing`, and reaches it: with default settings."""

from __future__ import annotations

import functools
import importlib.metadata
import platform
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from .things import Thing

__all__ = ["PEERS", "Managers", "Ours", "Peer", "Pyro5", "RPyC", "Teleprox", "ZeroRPC"]


class Peer:
    """One project. Its package is imported by the methods, where it is used."""

    name: ClassVar[str]

    def version(self) -> str:
        return importlib.metadata.version(self.name)

    def serve(self, port: int) -> None:
        """Serve a `Thing`; call `ready` once clients may come."""
        raise NotImplementedError

    def connect(self, port: int) -> Any:
        """Return the served thing."""
        raise NotImplementedError

    def callback(self, function: Callable[[int], int]) -> Any:
        """Return what is passed to have a function of this process called."""
        return function

    def start(self) -> int | None:
        """Start a process by the project's own means; return its id."""
        return None


def ready() -> None:
    """Tell who has started this process that it serves."""
    print("ready", flush=True)


class Ours(Peer):
    """pyacq-rpc."""

    name = "pyacq-rpc"

    def version(self) -> str:
        import pyacq_rpc

        return pyacq_rpc.__version__

    def serve(self, port: int) -> None:
        from pyacq_rpc import RPCServer

        server = RPCServer(f"tcp://127.0.0.1:{port}")
        server["thing"] = Thing()
        ready()
        server.run_forever()

    def connect(self, port: int) -> Any:
        from pyacq_rpc import RPCClient

        return RPCClient(f"tcp://127.0.0.1:{port}")["thing"]

    def start(self) -> int | None:
        from spawner import ProcessSpawner

        self.node = ProcessSpawner()
        return self.node.pid


class Teleprox(Peer):
    """Its server runs in a thread of its own by default; so does that for callbacks."""

    name = "teleprox"

    def serve(self, port: int) -> None:
        from teleprox import RPCServer

        server = RPCServer(f"tcp://127.0.0.1:{port}")
        server["thing"] = Thing()
        ready()
        threading.Event().wait()

    def connect(self, port: int) -> Any:
        from teleprox import RPCClient

        self.client = RPCClient(f"tcp://127.0.0.1:{port}", local_server="threaded")
        return self.client["thing"]

    def start(self) -> int | None:
        from teleprox import start_process

        self.process = start_process()
        return self.process.pid


class RPyC(Peer):
    """A service, with public attributes allowed: else nothing of the thing could be called."""

    name = "rpyc"
    config: ClassVar = {"allow_public_attrs": True}

    def serve(self, port: int) -> None:
        import rpyc
        from rpyc.utils.server import ThreadedServer

        class Service(rpyc.Service):
            exposed_thing = Thing()

        server = ThreadedServer(
            Service, hostname="127.0.0.1", port=port, protocol_config=self.config
        )
        server.listener.listen(server.backlog)
        ready()
        server.start()

    def connect(self, port: int) -> Any:
        import rpyc

        self.connection = rpyc.connect("127.0.0.1", port, config=self.config)
        return self.connection.root.thing

    def start(self) -> int | None:
        import rpyc

        script = Path(sys.executable).with_name("rpyc_classic.py")
        self.connection = rpyc.classic.connect_subproc(script)
        pid: int = self.connection.proc.pid
        return pid


class Pyro5(Peer):
    """Callbacks are methods of exposed objects, served by a daemon of the client's."""

    name = "Pyro5"

    def serve(self, port: int) -> None:
        import Pyro5.api

        class Notifying(Thing):
            def call(self, listener: Any) -> int:  # a proxy itself is not called
                return super().call(listener.called)

        daemon = Pyro5.api.Daemon(port=port)
        Pyro5.api.expose(Thing)  # its subclasses' own members are exposed by themselves
        daemon.register(Pyro5.api.expose(Notifying)(), "thing")
        ready()
        daemon.requestLoop()

    def connect(self, port: int) -> Any:
        import Pyro5.api

        return Pyro5.api.Proxy(f"PYRO:thing@localhost:{port}")

    def callback(self, function: Callable[[int], int]) -> Any:
        import Pyro5.api

        @Pyro5.api.expose
        class Listener:
            def called(self, number: int) -> int:
                return function(number)

        listener = Listener()
        daemon = Pyro5.api.Daemon()
        daemon.register(listener)
        threading.Thread(target=daemon.requestLoop, daemon=True).start()
        return listener


class ZeroRPC(Peer):
    """Methods of one object."""

    name = "zerorpc"

    def serve(self, port: int) -> None:
        import zerorpc

        Thing.count = zerorpc.stream(Thing.count)
        server = zerorpc.Server(Thing())
        server.bind(f"tcp://127.0.0.1:{port}")
        ready()
        server.run()

    def connect(self, port: int) -> Any:
        import zerorpc

        return zerorpc.Client(f"tcp://127.0.0.1:{port}")


class Managers(Peer):
    """`multiprocessing.managers`."""

    name = "multiprocessing.managers"

    def version(self) -> str:
        return f"of Python {platform.python_version()}"

    def _manager(self, port: int) -> Any:
        from multiprocessing.managers import BaseManager, IteratorProxy

        class Manager(BaseManager):
            pass

        thing = functools.cache(Thing)
        # Methods whose results are to be proxies are told beforehand.
        Manager.register("Item", exposed=())
        Manager.register("Iterator", proxytype=IteratorProxy)
        Manager.register(
            "thing", lambda: thing(), method_to_typeid={"item": "Item", "count": "Iterator"}
        )
        return Manager(("127.0.0.1", port), b"key")

    def serve(self, port: int) -> None:
        server = self._manager(port).get_server()
        ready()
        server.serve_forever()

    def connect(self, port: int) -> Any:
        manager = self._manager(port)
        manager.connect()
        return manager.thing()

    def start(self) -> int | None:
        from multiprocessing import Manager

        self.manager = Manager()
        pid: int = self.manager._process.pid
        return pid


PEERS = {peer.name: peer for peer in (Ours(), Teleprox(), RPyC(), Pyro5(), ZeroRPC(), Managers())}
