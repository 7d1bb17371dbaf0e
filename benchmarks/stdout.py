"""Keeps what others print out of the answers to the parent."""

from __future__ import annotations

import os
from typing import TextIO

__all__ = ["take"]


def take() -> TextIO:
    """Return this process's stdout; from now on, what is printed goes nowhere."""
    answers = os.fdopen(os.dup(1), "w")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return answers
