"""Templates, and modules that they preload."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from spawner import NodeTemplate


@pytest.fixture
def template() -> Iterator[NodeTemplate]:
    """A template that has nothing preloaded."""
    with NodeTemplate(name="mould") as template:
        yield template


@pytest.fixture
def module(tmp_path, monkeypatch) -> Callable[[str], str]:
    """Write a module that can be preloaded; its name."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(code: str) -> str:
        (tmp_path / "preloaded_by_a_test.py").write_text(code)
        return "preloaded_by_a_test"

    return write
