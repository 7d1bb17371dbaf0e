"""The options of a call: whether and how long to wait for what."""

from __future__ import annotations

__all__ = [
    "NO_OPTIONS",
    "NO_TIMEOUT_GIVEN",
    "RETURN_TYPES",
    "SYNC",
    "CallOptions",
    "check_choice",
    "check_options",
    "check_timeout",
]

NO_TIMEOUT_GIVEN = -1.0
"""Stands for "as the client says", since None already means "for ever"."""

LONGEST_TIMEOUT = 2_000_000
"""Seconds, 23 days: the system calls that wait count milliseconds in 31 bits."""

SYNC = ("sync", "async", "off")
"""Whether to wait for the answer."""

RETURN_TYPES = ("auto", "proxy", "value")
"""How the result comes."""


class CallOptions:
    """Defaults of a proxy's calls, each None where the client's hold."""

    __slots__ = ("return_type", "sync", "timeout")

    def __init__(self) -> None:
        self.sync: str | None = None
        self.return_type: str | None = None
        self.timeout: float | None = NO_TIMEOUT_GIVEN


NO_OPTIONS = CallOptions()
"""For whoever sets none."""


def check_options(sync: str | None, return_type: str | None, timeout: float | None) -> None:
    """See to it that the options of a call are such.

    Parameters
    ----------
    sync, return_type, timeout
        As for `RPCClient.send`; ``'now'``, see `session.link.Client`, and ``'ack'``, for
        None as the result, are this package's own.

    Raises
    ------
    ValueError
        For an unknown word, or a timeout out of range.
    TypeError
        For a timeout that is no number.
    """
    if sync is not None and sync not in SYNC and sync != "now":
        check_choice("sync", sync, SYNC)
    if return_type is not None and return_type not in RETURN_TYPES and return_type != "ack":
        check_choice("return_type", return_type, RETURN_TYPES)
    if timeout is not None and timeout is not NO_TIMEOUT_GIVEN:
        check_timeout(timeout)


def check_timeout(timeout: float | None) -> None:
    """See to it that a timeout is a time; the errors are those of `check_options`."""
    try:
        fits = timeout is None or 0 <= timeout <= LONGEST_TIMEOUT
    except TypeError:
        raise TypeError(
            f"timeout is a number of seconds, or None for ever; not {timeout!r}"
        ) from None
    if not fits:
        raise ValueError(
            f"timeout is from 0 to {LONGEST_TIMEOUT} s, or None for ever; not {timeout!r}"
        )


def check_choice(option: str, value: str | None, choices: tuple[str, ...]) -> None:
    """See to it that an option is one of these words, or None; else raise a ValueError."""
    if value is not None and value not in choices:
        raise ValueError(f"{option} is one of {', '.join(choices)}; not {value!r}")
