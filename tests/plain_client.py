"""A client without manners: it sends what it is told to, and reads only when it is told to."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import deque
from typing import Any

import zmq
from conftest import with_key

from pyacq_rpc.transport.direct import connect_direct
from pyacq_rpc.transport.stamps import Stamps, ask_for_stamps, new_secret, unstamp
from pyacq_rpc.transport.stream import Stream
from pyacq_rpc.wire.codecs import codec_named
from pyacq_rpc.wire.messages import Goodbye, Hello, Message, Move, Reference, Request, Welcome


def no_reference(obj: object) -> Reference:
    raise TypeError(f"{obj!r} has no value form")


def only_name(reference: Reference) -> Reference:
    return reference


class PlainClient:
    """One connection to a server.

    Parameters
    ----------
    address : str
    road : {'zmq', 'stamped', 'direct'}
        Over ZeroMQ it need not stamp its messages, but can.
    peer : str
        What it calls its process.
    serializer : str
    hello : bool
        Whether it says hello, and takes its road.
    greedy : bool
        Whether it takes from the network more than it has been asked to receive.
    secret : str
        What it tells in the place of its secret, if it does not stamp its messages.
    """

    def __init__(
        self,
        address: str,
        road: str = "zmq",
        peer: str = "plain",
        serializer: str = "msgpack",
        hello: bool = True,
        greedy: bool = True,
        secret: str = "",
    ) -> None:
        self.context: zmq.Context[Any] = zmq.Context()
        self.socket = with_key(self.context.socket(zmq.DEALER))
        self.socket.linger = 0
        self.socket.sndhwm = 0
        self.socket.rcvhwm = 0 if greedy else 1
        # Not before the tests are over; with -1, for never, libzmq drops what was not received yet
        # when the connection ends.
        self.socket.setsockopt(zmq.RECONNECT_IVL, 3_600_000)
        self._stamps = Stamps(new_secret()) if road == "stamped" else None
        if self._stamps is not None:
            ask_for_stamps(self.socket, self._stamps.secret)
        elif secret:
            self.socket.setsockopt(zmq.METADATA, f"X-Stamp:{secret}".encode())
        self.socket.connect(address)
        self.codec = codec_named(serializer)
        self.stream: Stream | None = None
        self.welcome: Welcome | None = None
        self._inbox: deque[Any] = deque()
        if hello:
            self.send(Hello(1, peer, {"direct": road == "direct"}))
            welcome = self.receive()
            assert isinstance(welcome, Welcome), welcome
            self.welcome = welcome
            if road == "direct":
                self.stream = connect_direct(welcome.info["path"], welcome.info["token"])
                assert self.stream is not None
                self.send_over_socket(self.encode(Move(welcome.info["token"])))
                assert isinstance(self._receive_over_socket(10), Move)

    def encode(self, message: Message) -> list[Any]:
        return [bytes(frame) for frame in self.codec.encode(message, no_reference)]

    def send(self, message: Message) -> None:
        self.send_frames(self.encode(message))

    def send_frames(self, frames: list[Any]) -> None:
        """Send one message; over the direct road as much of it as the server takes."""
        if self.stream is None:
            self.send_over_socket(frames)
        else:
            self.stream.send(frames)

    def send_over_socket(self, frames: list[Any], as_agreed: bool = True) -> None:
        if self._stamps is not None and as_agreed:
            frames = self._stamps.put(frames)
        with contextlib.suppress(zmq.Again):  # the server has hung up
            self.socket.send_multipart(frames, zmq.DONTWAIT)

    def send_raw(self, data: bytes) -> None:
        """Write bytes to the direct road as they are."""
        assert self.stream is not None
        with contextlib.suppress(OSError):  # full, or closed
            self.stream._socket.send(data)

    def ask(self, number: int, action: str, reply: str = "auto", **options: Any) -> None:
        """Send a request."""
        self.send(Request(number, action, reply, options))

    def call(self, number: int, target: list[str], *args: Any, reply: str = "auto") -> None:
        """Send a request to call something, written as it is."""
        from pyacq_rpc.wire.messages import Target

        options = {"obj": Target(target[0], target[1:]), "args": list(args), "kwargs": {}}
        self.send(Request(number, "call_obj", reply, options))

    def receive(self, timeout: float = 10.0) -> Message | None:
        """Return the next message; None if there is none in time, or the server has hung up."""
        if self.stream is None:
            return self._receive_over_socket(timeout)
        inbox = self._inbox
        deadline = time.monotonic() + timeout
        while not inbox and not self.stream.ended and time.monotonic() < deadline:
            self.stream.flush()
            self.stream.receive(inbox)
            if not inbox:
                time.sleep(0.002)
        if not inbox:
            return self._receive_over_socket(min(timeout, 1.0))
        return self.codec.decode(inbox.popleft(), only_name)  # type: ignore[arg-type]

    def _receive_over_socket(self, timeout: float) -> Message | None:
        if not self.socket.poll(int(timeout * 1000)):
            return None
        frames = [memoryview(frame) for frame in self.socket.recv_multipart()]
        assert self._stamps is None or unstamp(self._stamps.secret, frames)
        return self.codec.decode(frames, only_name)  # type: ignore[arg-type]

    def close(self) -> None:
        """Hang up without a word."""
        if self.stream is not None:
            self.stream.close()
        self.socket.close(0)
        self.context.term()


class Relay:
    """Passes on what a client and a server send, until it is told to read no more of either.

    Attributes
    ----------
    address : str
        Where clients connect instead.
    deaf : bool
        Whether what the server sends is left unread.
    deaf_to_client : bool
        Whether what the client sends is.
    """

    def __init__(self, address: str) -> None:
        self._where = _host_and_port(address)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self.deaf = self.deaf_to_client = False
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._where)
                self._open += [client, server]
                for ends in ((client, server, "deaf_to_client"), (server, client, "deaf")):
                    thread = threading.Thread(target=self._pass_on, args=ends)
                    self._threads.append(thread)
                    thread.start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, deaf: str) -> None:
        with contextlib.suppress(OSError):
            while not getattr(self, deaf) and (data := source.recv(65536)):
                sink.sendall(data)

    def close(self) -> None:
        for sock in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for thread in self._threads:
            thread.join(10)


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition("//")[2].rpartition(":")
    return host, int(port)


def half_open(address: str) -> socket.socket:
    """Connect to a server's port and say nothing."""
    return socket.create_connection(_host_and_port(address))


def last(client: PlainClient) -> Message | None:
    """Return the last message that a client gets."""
    found = None
    while (message := client.receive(2.0)) is not None:
        found = message
        if isinstance(found, Goodbye):
            break
    return found
