from __future__ import annotations

import io
import logging
import sys
import threading
import traceback

import pytest

from pyacq_rpc.people.ipython.cells import NAMESPACE, namespace, run


@pytest.fixture(autouse=True)
def fresh():
    """Each test has a namespace of its own."""
    sys.modules.pop(NAMESPACE, None)
    yield
    sys.modules.pop(NAMESPACE, None)


@pytest.fixture
def execute():
    """Run a cell; return what is shown of its value, and what it has printed."""

    def execute(source):
        printed = []
        told = run(source, "a cell", printed.extend)
        value = None if told is None else told["data"]["text/plain"]
        return value, [(stream, text) for stream, text in printed if text]

    return execute


def test_the_last_expression_is_shown(execute):
    assert execute("x = 20\nx + 1") == ("21", [])
    assert execute("x = 20") == (None, [])
    assert execute("None") == (None, [])
    assert execute("") == (None, [])
    assert execute("5;") == (None, [])


def test_variables_are_kept(execute):
    execute("def f(n):\n    return n + offset\noffset = 5")
    assert execute("f(1)") == ("6", [])
    assert namespace().offset == 5
    assert sys.modules[NAMESPACE] is namespace()
    assert execute("_") == ("6", [])
    assert execute("__name__") == (repr(NAMESPACE), [])


def test_what_is_printed_comes_in_order(execute):
    source = "import sys\nfor n in range(3):\n    print(n)\n    print(n, file=sys.stderr)"
    _, printed = execute(source)
    assert printed == [(stream, f"{n}\n") for n in range(3) for stream in ("stdout", "stderr")]


def test_streams_are_what_they_were_afterwards(execute):
    before = sys.stdout, sys.stderr
    with pytest.raises(ZeroDivisionError):
        execute("print(1); 1 / 0")
    assert (sys.stdout, sys.stderr) == before


def test_a_stream_that_was_kept_writes_where_the_node_does(execute, capsys):
    execute("import sys; kept = sys.stdout")
    namespace().kept.write("later\n")
    assert capsys.readouterr().out == "later\n"


def test_it_is_a_stream(execute):
    assert execute("import sys; sys.stdout.writable(), sys.stdout.isatty()")[0] == "(True, False)"
    assert execute("sys.stdout.write('x')") == ("1", [("stdout", "x")])
    with pytest.raises(TypeError, match="a text is written here"):
        execute("sys.stdout.write(b'x')")


def test_output_comes_while_the_cell_runs():
    seen = threading.Event()
    namespace().seen = seen
    run("print('now'); assert seen.wait(20)", "a cell", lambda printed: check(printed, seen))


def check(printed, seen):
    if any("now" in text for _, text in printed):
        seen.set()


def test_the_beginning_is_told():
    printed = []
    run("", "a cell", printed.extend)
    assert printed == [("stdout", "")]


def test_much_output_arrives_whole(execute):
    _, printed = execute("for n in range(20000): print(n)")
    assert "".join(text for _, text in printed).split() == [str(n) for n in range(20000)]


def test_who_prints_too_much_waits(monkeypatch):
    monkeypatch.setattr("pyacq_rpc.people.ipython.cells._MOST", 100)
    go_on, sizes = threading.Event(), []

    def write(printed):
        sizes.append(sum(len(text) for _, text in printed))
        go_on.wait(20)

    timer = threading.Timer(0.3, go_on.set)
    timer.start()
    run("for n in range(100): print('x' * 49)", "a cell", write)
    timer.join(10)
    assert sum(sizes) == 5000
    assert max(sizes) < 200


def test_when_nobody_takes_it_any_more_it_goes_on(monkeypatch):
    def write(printed):
        raise ConnectionError("gone")

    told = io.StringIO()
    monkeypatch.setattr(sys, "__stderr__", told)
    assert run("for n in range(5): print(n)\n'done'", "a cell", write) is not None
    assert told.getvalue() == "what a cell prints is not taken any more: gone\n"


def test_tracebacks_show_the_cell(execute):
    try:
        execute("def f():\n    raise ValueError('bad')\nf()")
    except ValueError:
        text = traceback.format_exc()
    assert 'File "<a cell>", line 2, in f' in text
    assert "raise ValueError('bad')" in text


def test_a_syntax_error(execute):
    with pytest.raises(SyntaxError) as caught:
        execute("x = (")
    assert caught.value.filename == "<a cell>"


def test_the_package_s_own_future_does_not_matter(execute):
    """Annotations are evaluated, as in any new module."""
    assert execute("def f(x: int): pass\nf.__annotations__['x']")[0] == "<class 'int'>"


def test_other_threads_print_too(execute):
    source = (
        "import threading\nt = threading.Thread(target=print, args=('there',))\nt.start(); t.join()"
    )
    assert "".join(text for _, text in execute(source)[1]) == "there\n"


def test_a_log_record_of_whoever_passes_output_on_ends_nothing():
    def write(printed):
        logging.getLogger("a test's").warning("seen")

    assert run("print(1)", "a cell", write) is None
