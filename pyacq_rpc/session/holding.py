"""A lease on the side of its holder; for the owner's side see `leases`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

__all__ = ["Grantor", "Home", "Lease"]


class Grantor(Protocol):
    """Who has granted a lease to somebody else."""

    @property
    def heir(self) -> Callable[[str], object] | None:
        """What withdraws a grant when this is gone; None if its grants go with it."""

    def withdraw(self, token: str) -> None:
        """Forget a grant that nobody will claim."""


class Home(Grantor, Protocol):
    """Where a lease was opened, and where it has to be given back.

    Attributes
    ----------
    peer : str
        The name under which its owner keeps the lease.
    """

    peer: str

    def release(self, ref: str) -> None:
        """Note that one lease of `ref` is over; must not block."""

    def grant(self, lease: Lease) -> str:
        """Grant one more lease of what `lease` holds; return the token that claims it."""


class Lease:
    """Keeps one reference alive for as long as this object lives.

    Parameters
    ----------
    ref : str
        The reference.
    home : Home
    token : str
        What it was claimed with, until the owner is known to have had that
        claim; empty for a lease that was opened by the owner itself.
    """

    __slots__ = ("__weakref__", "home", "ref", "token")

    def __init__(self, ref: str, home: Home, token: str = "") -> None:
        self.ref = ref
        self.token = token
        self.home = home

    def __del__(self) -> None:
        try:
            home = self.home
        except AttributeError:  # an interrupt has kept it from being made
            return
        home.release(self.ref)
