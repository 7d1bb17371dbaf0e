"""Call a method of a published object, with nothing but pyzmq, JSON and the user's key.

Usage: python json_client.py ADDRESS NAME METHOD [ARGUMENT ...]

Each argument is JSON: 0.1, true, [1, 2], '"text"'.
"""

import json
import os
import secrets
import sys

import zmq
import zmq.auth

HELLO, WELCOME, REQUEST, RESULT, FAILURE, GOODBYE = 0, 1, 2, 3, 4, 10

address, name, method, *arguments = sys.argv[1:]
socket = zmq.Context.instance().socket(zmq.DEALER)
key_file = os.environ.get("PYACQ_RPC_KEY", os.path.expanduser("~/.config/pyacq-rpc/key"))
public, secret = zmq.auth.load_certificate(key_file)
socket.curve_publickey, socket.curve_secretkey = public, secret
socket.curve_serverkey = public  # a user's servers and clients share one
socket.connect(address)


def send(*fields):
    socket.send(json.dumps(fields).encode())


def receive(expected):
    if not socket.poll(timeout=10_000):
        sys.exit(f"no answer from {address} within 10 s")
    kind, *fields = json.loads(socket.recv())
    if kind == FAILURE:
        sys.exit(f"{fields[2]}: {fields[4]}")
    if kind != expected:
        sys.exit(f"unexpected message: {kind} {fields}")
    return fields


send(HELLO, 1, secrets.token_urlsafe(9), {})
version, server_id, info = receive(WELCOME)
args = [json.loads(argument) for argument in arguments]
options = {"obj": ["@" + name, method], "args": args, "kwargs": {}}
send(REQUEST, 1, "call_obj", "value", options)
request_id, value = receive(RESULT)
print(json.dumps(value))
send(GOODBYE, "done")
