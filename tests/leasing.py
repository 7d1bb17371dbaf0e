"""Objects in a table of leases, and who holds them."""

from __future__ import annotations

import weakref

from pyacq_rpc import ReferenceReleased
from pyacq_rpc.session.leases import new_token
from pyacq_rpc.session.tokens import token_of_holder


class Thing:
    pass


def opened(table, peer="A"):
    """A reference, and a function that says whether its object is alive."""
    thing = Thing()
    return table.open(thing, peer), weakref.ref(thing)


def sealed(ref, peer="A"):
    """A token for a grant of `peer`, which holds the reference."""
    return token_of_holder(new_token(), ref, peer)


def holds(table, ref, peer):
    """Whether a peer can use a reference."""
    try:
        return table.get(ref, peer) is not None
    except ReferenceReleased:
        return False
