from __future__ import annotations

import json

import pytest

from pyacq_rpc.people.measuring import Measurement

pytestmark = pytest.mark.timeout(180)


def test_what_is_measured(prints):
    found = json.loads(prints("bench", "--seconds", "0.1", "--json"))
    assert [line["unit"] for line in found] == ["µs", "/s", "MB/s", "ms"]
    assert all(line["here"] > 0 for line in found)
    assert [line["raw"] is None for line in found] == [False, False, False, True]


def test_the_table(prints):
    head, *rows = prints("bench", "--seconds", "0.1").splitlines()
    assert head.split() == ["WHAT", "HERE", "RAW", "PYZMQ", "RATIO"]
    assert len(rows) == 4


def test_a_line():
    line = Measurement("a call", "µs", 1500.4, 1000)
    assert line.cells() == ["a call", "1,500 µs", "1,000 µs", "1.50"]
    assert line._replace(raw=None).cells() == ["a call", "1,500 µs", "-", "-"]


@pytest.mark.parametrize("seconds", ["0", "soon", "1e9"])
def test_a_time_that_makes_no_sense(capsys, seconds):
    from pyacq_rpc.__main__ import main

    with pytest.raises(SystemExit):
        main(["bench", "--seconds", seconds])
    assert "--seconds" in capsys.readouterr().err
