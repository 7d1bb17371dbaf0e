"""The tokens that claim leases: what they are made of, and what they prove.

The claim of a lease may reach the owner before the grant that it takes up, and
even before its granter has got its own lease: all of these come over different
connections. The owner still has to know at once whether the claim is good, and
nobody who merely knows the reference may be able to make one up. So a token
is more than a name for the grant. Its parts, with dots between them:

* the grant's own name, which nobody else can guess;
* if the granter cannot know yet whether its own claim has arrived: the token of that;
* else a *seal*, which only a holder of the reference can make.

The owner takes the claim for good if any name in it is that of a grant, or of
a claim, that it has on its books, or if the seal is that of a holder.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode

__all__ = [
    "LONGEST",
    "SEAL",
    "is_seal",
    "name_in",
    "seal",
    "token_of_claimer",
    "token_of_holder",
]

LONGEST = 32
"""Parts of a token. Those at the end are the oldest, whose grants have long arrived."""

SEAL = "~"
"""What a seal begins with, and no name does."""


def token_of_holder(name: str, ref: str, peer: str) -> str:
    """Return a token for a grant of a peer that holds the reference for certain.

    Parameters
    ----------
    name : str
        The grant's own name.
    ref : str
        The reference.
    peer : str
        What the granter calls itself towards the owner; nobody else knows that.

    Examples
    --------
    >>> token_of_holder("AAAAAAAAAAAA", "BBBBBBBBBBBB", "CCCCCCCCCCCC")
    'AAAAAAAAAAAA.~SNtDyHBxz_Sm'
    """
    return f"{name}.{seal(name, ref, peer)}"


def token_of_claimer(name: str, claimed_with: str) -> str:
    """Return a token for a grant of what was itself claimed just now.

    Parameters
    ----------
    name : str
        The grant's own name.
    claimed_with : str
        The token of that claim.

    Examples
    --------
    >>> token_of_claimer("DDDDDDDDDDDD", "AAAAAAAAAAAA.~SNtDyHBxz_Sm")
    'DDDDDDDDDDDD.AAAAAAAAAAAA.~SNtDyHBxz_Sm'
    """
    return ".".join([name, *claimed_with.split(".")[: LONGEST - 1]])


def name_in(token: str) -> str:
    """Return the name of a token's own grant.

    Examples
    --------
    >>> name_in("DDDDDDDDDDDD.AAAAAAAAAAAA")
    'DDDDDDDDDDDD'
    """
    return token.partition(".")[0]


def seal(name: str, ref: str, peer: str) -> str:
    """Return what proves that `peer` has granted `ref` under that name."""
    import hmac  # here only: it takes megabytes, and most processes hand nothing on

    digest = hmac.digest(_encode(peer), _encode(f"{ref} {name}"), "sha256")
    return SEAL + urlsafe_b64encode(digest[:9]).decode("ascii")


def is_seal(found: str, name: str, ref: str, peer: str) -> bool:
    """Whether that is the `seal`; how long this takes does not tell how much of it is."""
    import hmac

    return hmac.compare_digest(_encode(found), _encode(seal(name, ref, peer)))


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")  # peers send any string
