"""A vault, whose methods return what tempts, and a thief who writes messages by hand."""

from __future__ import annotations

import functools
import os
import sys
import threading
import weakref
from operator import attrgetter, methodcaller

from pyacq_rpc import expose
from pyacq_rpc.wire.codecs import codec_named
from pyacq_rpc.wire.messages import Hello, Request, Result, Target, Welcome

reached = []
"""What was reached that should not have been."""


def private(*args, **kwargs):
    reached.append((args, kwargs))
    return "plutonium"


class Mint(type):
    def coin(cls):
        return private()

    def __instancecheck__(cls, obj):
        return private()


class Other:
    def run(self):
        return private()

    def __call__(self):
        return private()


class Anything:
    """Has whatever is asked for."""

    def __getattr__(self, name):
        return private


class Descriptor:
    def __get__(self, obj, cls):
        return private()

    def __set__(self, obj, value):
        private(value)


class Base:
    @expose
    def overridden(self):
        return 1


class Vault(Base, metaclass=Mint):
    """Exposes methods that return what tempts, and keeps all else to itself."""

    descriptor = Descriptor()
    nested = Other

    def __init__(self):
        self.secret = "plutonium"
        self._secret = "plutonium"
        self.hook = private

    @functools.wraps(Base.overridden)
    def overridden(self):
        return private()

    def hidden(self):
        return private()

    @property
    def hidden_property(self):
        return private()

    @expose
    def number(self, *args):
        return 42

    @property
    @expose
    def gain(self):
        return private_function

    @expose
    def give(self, name):
        return GIFTS[name](self)

    @expose
    def apply(self, function, *args):
        return function(*args)

    @expose
    def stream(self):
        secret = self._secret  # in the generator's frame
        yield 1
        yield 2
        del secret


private_function = private


def error_with_traceback():
    try:
        raise ValueError("caught")
    except ValueError as error:
        return error


GIFTS = {
    "module": lambda vault: os,
    "class": lambda vault: Vault,
    "type": lambda vault: type,
    "function": lambda vault: private,
    "lambda": lambda vault: lambda: private(),
    "builtin": lambda vault: __import__,
    "partial": lambda vault: functools.partial(private, 1),
    "attrgetter": lambda vault: attrgetter("secret"),
    "methodcaller": lambda vault: methodcaller("hidden"),
    "another's method": lambda vault: Other().run,
    "hidden method": lambda vault: vault.hidden,
    "unbound method": lambda vault: Vault.number,
    "hidden function": lambda vault: Vault.hidden,
    "builtin method": lambda vault: vars(vault).get,
    "another": lambda vault: Other(),
    "weak reference": lambda vault: weakref.ref(vault),
    "property": lambda vault: Vault.__dict__["hidden_property"],
    "dict": vars,
    "namespace": lambda vault: vars(Vault),
    "error": lambda vault: error_with_traceback(),
    "frame": lambda vault: sys._getframe(),
    "code": lambda vault: Vault.number.__code__,
    "text": lambda vault: "{0.secret} {0.__class__.__init__.__globals__}",
    "list": lambda vault: [vault],
    "iterator": lambda vault: iter([1]),
    "map": lambda vault: map(private, [1]),
    "file": lambda vault: sys.stdout,
    "event": lambda vault: threading.Event(),
    "self": lambda vault: vault,
    "anything": lambda vault: Anything(),
}


class Thief:
    """A client that writes its messages by hand."""

    def __init__(self, socket, peer="thief"):
        self._socket = socket
        self._codec = codec_named("msgpack")
        self._id = 0
        assert isinstance(self.send(Hello(1, peer, {})), Welcome)

    def send(self, message):
        self._socket.send_multipart(self._codec.encode(message, lambda stand: stand.reference))
        return self._codec.decode(self._socket.recv_multipart(), lambda reference: reference)

    def ask(self, action, reply="auto", **options):
        self._id += 1
        answer = self.send(Request(self._id, action, reply, options))
        assert answer.id in (self._id, None)
        return answer

    def get(self, ref, *attributes, reply="auto"):
        return self.ask("get_obj", reply, obj=Target(ref, list(attributes)))

    def call(self, ref, *attributes, args=(), kwargs=None, reply="auto"):
        target = Target(ref, list(attributes))
        return self.ask("call_obj", reply, obj=target, args=list(args), kwargs=kwargs or {})

    def given(self, name):
        """Have an exposed method return something, and hold it."""
        answer = self.call("@vault", "give", args=[name], reply="proxy")
        assert isinstance(answer, Result), answer
        return answer.value


class Home:
    """Stands for a proxy that goes home."""

    def __init__(self, reference, *attributes, **changes):
        self.reference = reference._replace(attributes=list(attributes), **changes)
