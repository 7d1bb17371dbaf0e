"""Blocks of several statements, which raise by what is asked for in them, or at their end."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest


@contextlib.contextmanager
def whole_block_raises(error: type[BaseException], match: str | None = None) -> Iterator[None]:
    """As `pytest.raises`, around a batch."""
    with pytest.raises(error, match=match):
        yield
