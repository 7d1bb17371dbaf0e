from __future__ import annotations

import pytest

from benchmarks.comparison.sources import not_there, sources


def test_sources_of_others_are_read():
    page = (
        ".. [#a] RPyC: ``rpyc/core/netref.py``: ``BaseNetref``,\n   ``syncreq``.\n"
        ".. [#b] ``tests/test_layers.py``.\n"
        ".. [#c] Tried: ``python -m benchmarks.comparison --only killed``.\n"
        ".. [#d] RPyC: `a page <https://example.org>`__.\n"
    )
    assert list(sources(page)) == [["rpyc/core/netref.py", "BaseNetref", "syncreq"]]


@pytest.mark.parametrize(
    ("source", "missing"),
    [
        (["multiprocessing/managers.py", "BaseProxy._callmethod", "listener_client"], []),
        (["multiprocessing/managers.py", "BaseProxy._callback"], [": BaseProxy._callback"]),
        (["multiprocessing/manager.py", "BaseProxy"], ["multiprocessing/manager.py"]),
        (["nobody_has_this/core.py", "Server"], ["nobody_has_this/core.py"]),
    ],
)
def test_what_is_not_there_is_told(source: list[str], missing: list[str]):
    told = not_there(source)
    assert len(told) == len(missing)
    assert all(line.endswith(end) for line, end in zip(told, missing, strict=True))
