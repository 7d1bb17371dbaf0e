from __future__ import annotations

import re

from pyacq_rpc.session.tokens import (
    LONGEST,
    is_seal,
    name_in,
    seal,
    token_of_claimer,
    token_of_holder,
)


def test_a_holder_seals_its_grant():
    token = token_of_holder("name", "ref", "peer")
    assert token == f"name.{seal('name', 'ref', 'peer')}"
    assert name_in(token) == "name"


def test_a_seal_tells_names_references_and_peers_apart():
    seals = {
        seal(name, ref, peer) for name in ("a", "b") for ref in ("c", "d") for peer in ("e", "f")
    }
    assert len(seals) == 8
    assert all(re.fullmatch(r"~[-_A-Za-z0-9]{12}", one) for one in seals)


def test_a_seal_is_hmac_sha256():
    """As the protocol page says; OpenSSL made this one."""
    # printf 'BBBBBBBBBBBB AAAAAAAAAAAA' | openssl dgst -sha256 -hmac CCCCCCCCCCCC -binary |
    #     head -c 9 | base64
    assert seal("AAAAAAAAAAAA", "BBBBBBBBBBBB", "CCCCCCCCCCCC") == "~SNtDyHBxz_Sm"


def test_any_string_that_a_peer_may_send_can_be_sealed_and_compared():
    for text in ("\ud800", "\N{SNOWMAN}", "", "x" * 100_000):
        assert is_seal(seal(text, text, text), text, text, text)
        assert not is_seal(text, "name", "ref", "peer")


def test_a_claimer_passes_on_what_it_was_given():
    assert token_of_claimer("c", "b.a.~seal") == "c.b.a.~seal"
    assert token_of_claimer("c", "offered") == "c.offered"
    assert name_in("offered") == "offered"


def test_a_token_that_goes_round_does_not_grow_for_ever():
    token = "0.~seal"
    for n in range(1, 1000):
        token = token_of_claimer(str(n), token)
    assert token.split(".") == [str(n) for n in range(999, 999 - LONGEST, -1)]
