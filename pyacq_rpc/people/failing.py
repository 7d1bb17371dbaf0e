"""How a command says that it cannot do what it was asked for."""

from __future__ import annotations

from pyacq_rpc import RemoteCallException

__all__ = ["CommandError", "sentence_of"]


class CommandError(Exception):
    """What was asked for cannot be done; its text says why, and what to do, in a sentence.

    The command line prints that, and ends with exit code 1.
    """


def sentence_of(error: BaseException) -> str:
    r"""Return an error as one line.

    Examples
    --------
    >>> sentence_of(ValueError("no such gain:\n 7"))
    'ValueError: no such gain: 7'
    """
    name = error.type_name if isinstance(error, RemoteCallException) else type(error).__name__
    text = " ".join(str(error).split())
    return f"{name}: {text}" if text else name
