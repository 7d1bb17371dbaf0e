"""The example of the guide: one trace across two processes."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from opentelemetry import trace

from pyacq_rpc import RemoteCallException
from spawner import ProcessSpawner

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples"

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def tracing(monkeypatch):
    """The example, in this process; what it sets for the whole process is undone."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER_SET_ONCE", trace.Once())
    yield importlib.import_module("tracing")
    sys.modules.pop("tracing")


@pytest.fixture
def node(tracing):
    with ProcessSpawner(name="node") as node:
        yield node


def by_name(spans):
    return {name: span for name, *span in spans}


def test_the_span_of_a_node_is_the_child_of_the_callers(tracing, node):
    theirs = node._import("tracing", _timeout=60)
    kept_there = theirs.install("node")
    kept = tracing.install("main")
    math = node._import("math")
    with tracing.tracer.start_as_current_span("measurement"):
        assert math.sqrt(4) == 2
        with pytest.raises(ValueError, match="math domain error"):
            math.sqrt(-1)
        assert math.floor(2.5, _sync="async").result(10) == 2
    over_there = by_name(theirs.spans(kept_there))
    here = by_name(tracing.spans(kept))
    kind, trace_id, span_id, parent_id = here["math.floor"]
    assert kind == "CLIENT"
    assert [trace_id, parent_id] == here["measurement"][1:3]
    assert over_there["math.floor"][:2] == ["SERVER", trace_id]
    assert over_there["math.floor"][3] == span_id


def test_what_is_done_within_a_call_is_in_its_trace(tracing, node):
    theirs = node._import("tracing", _timeout=60)
    kept_there = theirs.install("node")
    kept = tracing.install("main")
    with tracing.tracer.start_as_current_span("measurement"):
        assert node._import("functools").reduce(lambda a, b: a + b, [1, 2]) == 3  # calls back
    here = [span for span in tracing.spans(kept) if span[0] == "<lambda>"]
    over_there = by_name(theirs.spans(kept_there))
    measurement = by_name(tracing.spans(kept))["measurement"]
    # The node's call of the function is a child of its own call, and ours of that.
    assert over_there["<lambda>"][3] == over_there["functools.reduce"][2]
    ((_, kind, trace_id, _, parent_id),) = here
    assert (kind, trace_id) == ("SERVER", measurement[1])
    assert parent_id == over_there["<lambda>"][2]


def test_an_error_is_noted_on_both_sides(tracing, node):
    theirs = node._import("tracing", _timeout=60)
    kept_there = theirs.install("node")
    kept = tracing.install("main")
    with pytest.raises(RemoteCallException):
        node._import("math").sqrt(-1)
    (span,) = [span for span in kept.get_finished_spans() if span.name == "math.sqrt"]
    assert span.status.description == "math domain error"
    assert span.events[0].attributes["exception.message"] == "math domain error"
    spans = theirs.spans(kept_there)
    assert "math.sqrt" in by_name(spans)


def test_run_as_a_program_it_shows_the_spans_of_both(tracing):
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    ran = subprocess.run(
        [sys.executable, tracing.__file__],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    lines = [line.split() for line in ran.stdout.splitlines()]
    kinds = [line[1] for line in lines if line[0] == "math.sqrt"]
    assert kinds == ["CLIENT", "SERVER"]
    assert len({line[3] for line in lines if line[0] in ("math.sqrt", "measurement")}) == 1
