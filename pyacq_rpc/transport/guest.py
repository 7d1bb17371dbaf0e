"""Clients that an exported key let in, and may stay until that is revoked."""

from __future__ import annotations

import os

import zmq

from .keys import Key, admitted_file

__all__ = ["Guest", "admitted_key", "peer_host"]


class Guest:
    """A client that has another key than the server.

    Parameters
    ----------
    key : Key
        The server's.
    public : bytes
        The public half of the client's, as `admitted_key` tells it.
    """

    def __init__(self, key: Key, public: bytes) -> None:
        self._key = key
        self._public = public
        self._file = ""
        self._seen = (-1, -1)

    def may_stay(self) -> bool:
        """Whether its key still lets it in: one look at the key's file, if that is as it was.

        Raises
        ------
        PermissionError
            If somebody else may have added to those that are let in.
        """
        if self._file:
            try:
                if _identity(os.stat(self._file)) == self._seen:
                    return True
            except FileNotFoundError:
                pass  # revoked; or it goes by another name now
        self._file = ""
        found = admitted_file(self._key.path, self._public) if self._key.path else None
        if found is None:
            return False
        self._file, self._seen = found[0], _identity(found[1])
        return True


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_ino, found.st_mtime_ns


def admitted_key(frame: zmq.Frame) -> bytes:
    """Return the public key that the gate let in for a frame; empty if none had to be."""
    return _told(frame, "User-Id").encode()


def peer_host(frame: zmq.Frame) -> str:
    """Return the host that a frame of a tcp connection came from; for others, something else."""
    return _told(frame, "Peer-Address")


def _told(frame: zmq.Frame, name: str) -> str:
    try:
        return str(frame.get(name))
    except zmq.ZMQError:  # over inproc
        return ""
