from __future__ import annotations

import io
import json

import pytest

pytest.importorskip("numpy")

from benchmarks.contenders import CONTENDERS, OURS, RAW
from benchmarks.lines import LINES
from benchmarks.record import as_record, machine
from benchmarks.table import comparison_table, values_table


def test_every_line_is_in_the_table_with_what_it_is_compared_with(made_up):
    table = comparison_table(made_up).splitlines()
    assert len(table) == 2 + len(LINES)
    for line, text in zip(LINES, table[2:]):
        assert text.startswith(line.title)
        assert line.reach in text
    assert table[2].split()[6:] == ["2.00", "≤", "0.8", "no", "raw", "echo", "over", "ipc"]
    assert table[3].split()[6:] == ["0.62", "≤", "0.8", "yes", "RPyC,", "bound", "method"]


def test_a_table_of_little_is_small():
    table = comparison_table({"call": {OURS: [1e-4], RAW: [1e-4]}}).splitlines()
    assert len(table) == 4
    assert table[2].split()[2:7] == ["100", "µs", "100", "µs", "1.00"]
    assert table[3].split() == ["sync", "call", "100", "µs", "≤", "0.8"]


def test_who_cannot_do_a_work_has_nothing_in_the_table(made_up):
    head, _, call, bound, *others = values_table(made_up).splitlines()
    assert head.split() == ["median", "raw", "pyacq-rpc", "RPyC"]
    assert call.split() == ["sync", "call", "100", "µs", "250", "µs", "500", "µs"]
    assert bound.split() == ["sync", "call,", "bound", "method", "250", "µs", "400", "µs"]
    assert not any("400" in line for line in others)


def test_the_record_says_what_was_found_where(made_up, about):
    record = json.loads(json.dumps(as_record(made_up, about)))
    assert record["machine"]["cpu"] == "abacus"
    assert {"python", "libzmq", "pyzmq", "msgpack", "numpy"} <= set(record["versions"])
    assert len(record["lines"]) == len(LINES)
    first = record["lines"][0]
    assert (first["ratio"], first["reached"], first["to"]) == (2.0, False, "raw echo over ipc")
    assert record["quantities"]["call"][RAW] == {"median": 1e-4, "rounds": [1e-4, None]}
    assert record["when"].endswith("Z")


def test_the_machine_is_known():
    about = machine()
    assert about["cores"] >= 1
    assert about["cpu"]


@pytest.fixture(scope="module")
def fonts() -> None:
    """Have matplotlib open its fonts, which it then keeps open, before a test counts."""
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    figure = Figure()
    figure.text(0, 0, "text")
    figure.text(0, 0, "text", fontweight="bold")
    figure.savefig(io.BytesIO())


@pytest.mark.usefixtures("fonts")
def test_the_plot_is_drawn(tmp_path, made_up, about):
    from benchmarks.plot import PANELS, draw

    path = tmp_path / "latest.svg"
    draw(made_up, about, path)
    picture = path.read_text()
    for panel in PANELS:
        assert f"<!-- {panel.title} -->" in picture
    assert "abacus" in picture


@pytest.mark.usefixtures("fonts")
def test_a_plot_of_little_has_empty_panels(tmp_path, about):
    from benchmarks.plot import draw

    path = tmp_path / "latest.png"
    draw({"call": {OURS: [1e-4]}}, {**about, "load_at_begin": None}, path)
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("fonts")
def test_what_has_no_place_on_the_scale_is_left_out(tmp_path, about):
    from benchmarks.plot import draw

    path = tmp_path / "latest.png"
    draw({"proxies client": {OURS: [0.0]}, "proxies server": {OURS: [-40.0]}}, about, path)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_every_contender_has_a_style():
    pytest.importorskip("matplotlib")
    from benchmarks.plot import STYLES

    assert {*STYLES, RAW} == set(CONTENDERS)
