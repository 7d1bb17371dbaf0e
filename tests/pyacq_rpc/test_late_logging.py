from __future__ import annotations

import logging

from pyacq_rpc import late_logging


def test_a_record_is_the_one_that_logging_makes(caplog):
    late_logging.getLogger("somewhere").warning("it is %s", "hot")
    (record,) = caplog.records
    assert (record.name, record.levelname, record.getMessage()) == (
        "somewhere",
        "WARNING",
        "it is hot",
    )
    assert record.funcName == "test_a_record_is_the_one_that_logging_makes"


def test_a_traceback_is_kept(caplog):
    try:
        raise ValueError("too hot")
    except ValueError:
        late_logging.getLogger("somewhere").exception("it failed")
    assert "ValueError: too hot" in caplog.text


def test_it_has_what_the_logger_has():
    late = late_logging.getLogger("somewhere")
    assert late.handlers is logging.getLogger("somewhere").handlers
    assert not hasattr(late, "no_such_thing")


def test_what_cannot_be_logged_goes_to_stderr(monkeypatch, capsys):
    """There may be no descriptor to read `logging` by."""

    def no_import(name, *args):
        raise OSError(24, "Too many open files")

    late = late_logging.getLogger("somewhere")
    with monkeypatch.context() as patch:
        patch.setattr("builtins.__import__", no_import)
        late.warning("a client waits: %s", "no descriptor")
    told = capsys.readouterr().err
    assert told == (
        "somewhere: a client waits: no descriptor (not logged: [Errno 24] Too many open files)\n"
    )
