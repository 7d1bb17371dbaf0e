from __future__ import annotations

import contextlib
import os
import threading

import pytest

from spawner.output import MAX_LINE, Drain


@pytest.fixture
def pipe():
    return os.pipe()


def drain(pipe, data, **options):
    """Send data through a pipe, and return the drain when it has had it all."""
    drained = Drain(pipe[0], "drain under test", **options)
    with os.fdopen(pipe[1], "wb") as writer:
        writer.write(data)
    assert drained.join(10)
    return drained


def test_the_end_is_kept(pipe):
    assert drain(pipe, b"x" * 100_000 + b"end", keep=10).tail() == "x" * 7 + "end"


def test_what_is_not_text_is_shown_as_escapes(pipe):
    assert drain(pipe, b"a\xffb").tail() == "a\\xffb"


def test_a_character_may_be_cut_between_two_reads(pipe):
    drained = Drain(pipe[0], "drain under test")
    for byte in "é€".encode():
        os.write(pipe[1], bytes([byte]))
    os.close(pipe[1])
    assert drained.join(10)
    assert drained.tail() == "é€"


def test_lines_come_whole(pipe):
    lines = []
    drain(pipe, b"one\r\ntwo\n\nlast", on_line=lines.append)
    assert lines == ["one", "two", "", "last"]


def test_a_line_without_end_is_passed_on_in_parts(pipe):
    lines = []
    drain(pipe, b"x" * (MAX_LINE * 3), on_line=lines.append)
    assert len(lines) > 1
    assert "".join(lines) == "x" * (MAX_LINE * 3)


def test_bytes_are_forwarded_unchanged(pipe, tmp_path):
    path = tmp_path / "out"
    with path.open("wb") as out:
        drain(pipe, b"\xff\x00\n" * 10_000, forward_to=out.fileno())
    assert path.read_bytes() == b"\xff\x00\n" * 10_000


def test_it_goes_on_when_there_is_nowhere_to_forward_to(pipe):
    read, write = os.pipe()
    os.close(read)
    assert drain(pipe, b"x" * 1_000_000, forward_to=write, keep=5).tail() == "xxxxx"
    os.close(write)


def test_join_tells_that_somebody_still_writes(pipe):
    drained = Drain(pipe[0], "drain under test")
    assert not drained.join(0.01)
    os.close(pipe[1])
    assert drained.join(10)


class TestFinishing:
    """The node has ended, and somebody else still holds the other end."""

    def test_what_is_in_the_pipe_is_read(self, pipe):
        lines = []
        os.write(pipe[1], b"one\n" + b"x" * 50_000 + b"\nhalf")
        drained = Drain(pipe[0], "drain under test", on_line=lines.append)
        drained.finish()
        assert drained.join(10)
        assert lines == ["one", "x" * 50_000, "half"]
        with pytest.raises(BrokenPipeError):
            os.write(pipe[1], b"x")
        os.close(pipe[1])

    def test_it_ends_when_somebody_goes_on_writing(self, pipe):
        drained = Drain(pipe[0], "drain under test")

        def write():
            with contextlib.suppress(BrokenPipeError):
                while True:
                    os.write(pipe[1], b"x" * 65536)

        writer = threading.Thread(target=write)
        writer.start()
        drained.finish()
        assert drained.join(10)
        writer.join(10)
        os.close(pipe[1])

    def test_more_than_once_and_afterwards(self, pipe):
        drained = drain(pipe, b"x")
        drained.finish()
        drained.finish()
        assert drained.join(0)

    def test_no_descriptor_is_left_when_it_cannot_start(self, pipe, monkeypatch):
        def refuse(self):
            raise RuntimeError("can't create new thread")

        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            with pytest.raises(RuntimeError, match="new thread"):
                Drain(pipe[0], "drain under test")
        os.close(pipe[1])


def test_a_finalizer_that_runs_meanwhile_may_stop_the_node(pipe):
    """As garbage may be collected while the end is put together."""
    drained = Drain(pipe[0], "drain under test")

    class Tail(list):
        def __iter__(self):
            drained.finish()
            return super().__iter__()

    drained._tail = Tail(["the end"])
    assert drained.tail() == "the end"
    os.close(pipe[1])
    assert drained.join(10)
