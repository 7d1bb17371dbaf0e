"""A few seconds of ``tests/fuzz/fuzz_session.py``."""

from __future__ import annotations

from fuzz.conversations import ADDRESS, SERVER, Player
from fuzz.fuzz_session import PEERS, Session, play
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SETTINGS = settings(max_examples=50, suppress_health_check=list(HealthCheck))
PLAYER = Player(0, ADDRESS, SERVER)


@SETTINGS
@given(st.integers(0, 2**32))
def test_mutated_conversations(seed):
    outcomes = {}
    PLAYER.seed(seed)
    play(PLAYER, outcomes)
    assert outcomes


names = st.sampled_from(["one", "two", "three"])
books = st.lists(
    st.tuples(
        st.sampled_from(PEERS),
        st.sampled_from(["open", "release", "grant", "claim", "withdraw", "leave"]),
        st.integers(0, 3),
        names,
    )
)


@SETTINGS
@given(books)
def test_books_in_any_order_leave_nothing(entries):
    """Tokens that are used twice, claimed by others, granted for what is not held."""
    session = Session()
    table, refs = session.table, [session.own]
    for peer, what, number, token in entries:
        ref = refs[number % len(refs)]
        if what == "open":
            refs.append(table.open(object(), peer))
        elif what == "release":
            table.release(peer, [ref])
        elif what in ("grant", "claim"):
            getattr(table, what)(peer, ref, token)
        elif what == "withdraw":
            table.withdraw(peer, token)
        else:
            session.leave(peer)
    session.end()
