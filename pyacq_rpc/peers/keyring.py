"""The keys that this process uses, and the gate that lets in who has them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from ..transport.gate import Gate
from ..transport.keys import Key, KeyOrPath, host_key, key_path, user_key

if TYPE_CHECKING:
    from .runtime import Runtime

__all__ = ["KeyRing"]


class KeyRing:
    """Knows which key is for which server, and who may connect to ours.

    All methods that return a key raise the errors of `transport.keys.user_key`.

    Parameters
    ----------
    runtime : Runtime
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._own: Key | None = None
        self._given: dict[str, Key] = {}  # by address
        self._served: dict[bytes, Key] = {}  # by their public halves
        self._gate: Gate | None = None

    def use(self, key: Key) -> None:
        """Take this for the user's key, instead of what the file holds."""
        self._own = key

    def own(self) -> Key:
        """Return the user's key."""
        with self._runtime.lock:
            if self._own is None:
                self._own = user_key(key_path())
            return self._own

    def give(self, address: str, key: KeyOrPath) -> None:
        """Have clients here use this key for the server at that address."""
        self._given[address] = self._found(key)

    def forget(self, address: str) -> None:
        """Undo `give`."""
        self._given.pop(address, None)

    def for_client(self, address: str) -> Key | None:
        """Return the key for the server at an address; None within a process.

        It is looked for each time: one may have been imported meanwhile.
        """
        if address.startswith("inproc:"):
            return None
        given = self._given.get(address)
        if given is not None:
            return given
        own = self.own()
        return host_key(own.path, address) or own

    def for_server(self, address: str, key: KeyOrPath | None = None) -> Key | None:
        """Return the key for listening there, and have judged who connects.

        Parameters
        ----------
        address : str
        key : Key or str or path, optional
            What the user says; by default it is the user's key.

        Raises
        ------
        ValueError
            If the key is for clients of another user's servers.
        """
        if address.startswith("inproc:"):
            return None
        found = self.own() if key is None else self._found(key)
        if found.server != found.public:
            raise ValueError(
                f"the key in {found.path} was exported for clients of other servers; a server"
                " needs a key of its own"
            )
        with self._runtime.opening(to_serve=True) as context, self._runtime.lock:
            self._served[found.public] = found
            if self._gate is None:
                try:
                    self._gate = Gate(context, self._admits)
                except RuntimeError:
                    # No thread can be started when Python ends; nobody need be let in then.
                    if threading.main_thread().is_alive():
                        raise
        return found

    def _found(self, key: KeyOrPath) -> Key:
        return key if isinstance(key, Key) else user_key(key_path(key))

    def _admits(self, server: bytes, client: bytes) -> bool:
        key = self._served.get(server)
        return key is not None and key.admits(client)

    def close(self) -> None:
        """Let nobody in any more."""
        if self._gate is not None:
            self._gate.close()
            self._gate = None
