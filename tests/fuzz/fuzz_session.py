"""Feeds mutated conversations of several clients to the session floor, without any socket.

The invariant: whatever messages come, in whatever order and from whomever,
reading one gives a message or an `RPCError`; carrying it out gives a result, a
`UserError` or an `RPCError`; nobody has more leases and grants than the limit;
and when all clients are gone the table is as empty as it was.

Run it for as long as you like::

    python tests/fuzz/fuzz_session.py --seconds 600
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzz.conversations import ADDRESS, SERVER, Player
from fuzz.fuzz_wire import MAX_BYTES, Cautious, Frames, Harmless, Invariant, Nobody

from pyacq_rpc.errors import LimitExceeded, RPCError
from pyacq_rpc.session.dispatch import Dispatcher, UserError
from pyacq_rpc.session.leases import ObjectTable
from pyacq_rpc.session.remote_errors import describe, failure_of_error, rebuild
from pyacq_rpc.wire import messages as m
from pyacq_rpc.wire.codecs import codec_of
from pyacq_rpc.wire.messages import Reference, Request, Result, Target
from pyacq_rpc.wire.values import Undecodable

LEASES = 50
NESTING = 100
PEERS = ["a", "b", "c"]


class Session:
    """The table and the dispatcher of a server, fed by hand.

    Attributes
    ----------
    refs : list of str
        References that were given out.
    """

    def __init__(self) -> None:
        self.table = ObjectTable()
        self.dispatcher = Dispatcher(self.table, Cautious(), Nobody())
        self.dispatcher.names["thing"] = Harmless()
        self.own = self.table.open(Harmless(), "the server itself")
        self.refs: list[str] = []

    def feed(self, peer: str, frames: Frames) -> str:
        """Take in one message of a peer; return what became of it.

        Raises
        ------
        Invariant
            If that was anything that should not be.
        """
        try:
            outcome = self._feed(peer, frames)
        except Exception as error:
            raise Invariant(f"{peer!r}, {frames!r}") from error
        account = self.table._peers.get(peer)
        if account is not None and len(account.leases) + len(account.granted) > LEASES:
            raise Invariant(f"{peer!r} has more leases than it may: {frames!r}")
        return outcome

    def _feed(self, peer: str, frames: Frames) -> str:
        try:
            codec = codec_of(frames, NESTING)
            message = codec.decode(frames, partial(self._resolve, peer))
        except Undecodable as error:
            return f"Undecodable {type(error.partial).__name__}"
        except RPCError as error:
            return type(error).__name__
        if not isinstance(message, Request):
            return self._keep_books(peer, message)
        opened: list[str] = []

        def refer(obj: object) -> Reference:
            self.table.check_room(peer, LEASES)
            opened.append(self.table.open(obj, peer))
            return Reference(ADDRESS, opened[-1], f"{SERVER}.1", "x", [], "")

        try:
            result: Any = self.dispatcher.run(message.action, message.options, peer)
            if message.reply == "proxy":
                result = refer(result)
            codec.encode(Result(message.id, result), refer)
        except (UserError, RPCError) as error:
            self.table.release(peer, opened)
            if isinstance(error, UserError):
                failure = describe(message.id, error.error)
            else:
                failure = failure_of_error(message.id, error)
            assert isinstance(rebuild(failure), RPCError)
            return f"Request, {type(error).__name__}"
        self.refs = [*self.refs[-50:], *opened]
        return "Request"

    def _resolve(self, peer: str, reference: Reference) -> object:
        if reference.object_id.partition(".")[0] != SERVER:
            raise RPCError("of another server, to which nothing is connected here")
        self.table.check(peer, reference.ref, reference.token)
        try:
            return self.dispatcher.take_back(Target(reference.ref, reference.attributes))
        except UserError as wrapped:
            raise wrapped.error from None
        finally:
            if reference.token:
                self.table.consume(peer, reference.token)

    def _keep_books(self, peer: str, message: m.Message) -> str:
        table = self.table
        if isinstance(message, m.Release):
            table.release(peer, message.refs)
        elif isinstance(message, (m.Grant, m.Claim)):
            try:
                table.check_room(peer, LEASES)
            except LimitExceeded:
                self.leave(peer)  # it is cut off
                return "cut off"
            book = table.grant if isinstance(message, m.Grant) else table.claim
            book(peer, message.ref, message.token)
        elif isinstance(message, m.Withdraw):
            table.withdraw(peer, message.token)
        elif isinstance(message, m.Goodbye):
            self.leave(peer)
        return type(message).__name__

    def leave(self, peer: str) -> None:
        """A peer is gone."""
        self.table.drop_peer(peer)

    def end(self) -> None:
        """All peers are gone for good.

        Raises
        ------
        Invariant
            If something of theirs is left.
        """
        self.dispatcher.names.clear()
        for peer in PEERS:
            self.table.drop_peer(peer)
        for peer in PEERS:
            self.table.expire_peer(peer)
        self.table.release("the server itself", [self.own])  # unless somebody has deleted it
        left = (len(self.table), len(self.table._peers), len(self.table._grants))
        if left != (0, 1, 0):
            raise Invariant(f"left of (references, peers, grants): {left}")


def play(player: Player, outcomes: dict[str, int]) -> None:
    """Feed the conversations of some peers, mixed, and end them.

    Raises
    ------
    Invariant
    """
    session = Session()
    r = player.random
    talks = {peer: player.conversation() for peer in PEERS[: r.randrange(1, len(PEERS) + 1)]}
    fed = []
    try:
        while talks:
            peer = r.choice(list(talks))
            player.refs = [*session.refs[-5:], session.own]
            frames = player.message(talks[peer].pop(0), r.random() < 0.1)
            fed.append((peer, frames))
            outcome = session.feed(peer, frames)
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
            if not talks[peer]:
                del talks[peer]
                if r.random() < 0.5:
                    session.leave(peer)
        session.end()
    except Invariant as error:
        raise Invariant(f"{error}, after {fed!r}") from error


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (4 * MAX_BYTES, 4 * MAX_BYTES))
    print("seed", options.seed)
    player = Player(options.seed, ADDRESS, SERVER)
    outcomes: dict[str, int] = {}
    deadline = time.monotonic() + options.seconds
    while time.monotonic() < deadline:
        play(player, outcomes)
    for outcome, count in sorted(outcomes.items(), key=lambda item: -item[1]):
        print(f"{count:10} {outcome}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"peak {peak >> 20} MB")
    assert peak < MAX_BYTES, "took too much memory"


if __name__ == "__main__":
    main()
