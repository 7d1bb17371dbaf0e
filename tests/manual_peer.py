"""Another process that writes its messages by hand, so that it can claim what it likes."""

from __future__ import annotations

import zmq
from conftest import with_key

from pyacq_rpc import ReferenceReleased
from pyacq_rpc.session.leases import new_token
from pyacq_rpc.session.remote_errors import rebuild
from pyacq_rpc.session.tokens import token_of_holder
from pyacq_rpc.wire.codecs import codec_named
from pyacq_rpc.wire.messages import Failure, Hello, Reference, Request, Target


class Peer:
    """Another process, as a server sees it: writes its messages by hand."""

    codec = codec_named("msgpack")

    def __init__(self, context, address, name=None, *before) -> None:
        self.name = name or new_token()
        self.address = address
        self.socket = with_key(context.socket(zmq.DEALER))
        self.socket.linger = 0
        self.socket.rcvtimeo = 10_000
        self.socket.connect(address)
        self.numbers = iter(range(1, 1000))
        self.send(*before, Hello(1, self.name, {}))
        self.welcome = self.receive()

    def send(self, *all_messages):
        for message in all_messages:
            self.socket.send_multipart(self.codec.encode(message, lambda reference: reference))

    def receive(self):
        return self.codec.decode(self.socket.recv_multipart(), lambda reference: reference)

    def ask(self, action, reply="auto", **options):
        self.send(Request(next(self.numbers), action, reply, options))
        answer = self.receive()
        if isinstance(answer, Failure):
            raise rebuild(answer)
        return answer.value

    def call(self, ref, *attributes, args=(), reply="auto"):
        target = Target(ref, list(attributes))
        return self.ask("call_obj", reply, obj=target, args=list(args), kwargs={})

    def can_use(self, ref):
        try:
            return self.call(ref, "add", args=[1, 2]) == 3
        except ReferenceReleased:
            return False

    def sealed(self, ref):
        return token_of_holder(new_token(), ref, self.name)

    def reference(self, ref, token=""):
        object_id = f"{self.welcome.server}.{id(self):x}"
        return Reference(self.address, ref, object_id, "Thing", [], token)
