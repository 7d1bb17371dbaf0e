from __future__ import annotations

import io
import json
import logging
import sys
import threading

import pytest
from log_making import log_record

from pyacq_rpc.people.logs.records import (
    Inbox,
    Record,
    RecordFilter,
    write_json_lines,
    write_text,
)


def made(*texts, **fields):
    return [Record(log_record(text, **fields), n) for n, text in enumerate(texts)]


def texts(records):
    return [record.text for record in records]


class TestARecord:
    def test_is_text(self):
        record = Record(log_record("%s took %d s", args=("it", 5), hostName="lab", process=7), 3)
        assert record.text == "it took 5 s"
        assert (record.node, record.logger, record.level_name) == ("camera", "lens", "INFO")
        assert (record.host, record.process, record.place) == ("lab", 7, "/src/lens.py:12")
        assert not record.foldable

    def test_has_its_traceback(self):
        try:
            raise KeyError("gain")
        except KeyError:
            record = Record(log_record("failed\nagain", exc_info=sys.exc_info()), 0)
        assert record.foldable
        lines = record.lines()
        assert lines[:2] == ["again", "Traceback (most recent call last):"]
        assert lines[-1] == "KeyError: 'gain'"

    def test_that_came_from_another_process_has_it_too(self):
        record = Record(log_record("failed", exc_text="Traceback:\nKeyError"), 0)
        assert record.lines() == ["Traceback:", "KeyError"]

    def test_of_no_time_that_a_calendar_has_is_shown_all_the_same(self):
        assert Record(log_record("x", created=1e300), 0).time() == "1e+300"

    def test_tells_milliseconds(self):
        assert Record(log_record("x", created=1000.25), 0).time().endswith(".250")


class TestTheFilter:
    def test_lets_all_pass(self):
        records = made("one", "two")
        assert RecordFilter().select(records) == records

    def test_by_level(self):
        records = made("low", level=10) + made("high", level=40)
        assert texts(RecordFilter(level=logging.WARNING).select(records)) == ["high"]

    def test_by_node(self):
        records = made("one", node="camera") + made("two", node="stage")
        assert texts(RecordFilter(hidden=["camera"]).select(records)) == ["two"]

    def test_by_text_in_whatever_case(self):
        records = made("Straße (closed)", "street")
        assert texts(RecordFilter(text="STRASSE (").select(records)) == ["Straße (closed)"]

    def test_by_the_logger_and_the_exception_too(self):
        records = [
            *made("one", logger="Shutter"),
            *made("two", exc_text="KeyError: 'shutter'"),
            *made("three"),
        ]
        assert texts(RecordFilter(text="shutter").select(records)) == ["one", "two"]

    def test_by_a_regular_expression(self):
        records = made("took 1 s", "took 12 s", "it TOOK 3 s", exc_text="x\nlast")
        assert texts(RecordFilter(text=r"^took \d s", regex=True).select(records)) == ["took 1 s"]
        assert len(RecordFilter(text=r"LAST$", regex=True).select(records)) == 3

    @pytest.mark.parametrize("text", ["(", "*", "[z-a]", "(?P<x", "\\", "a{99999999999999}"])
    def test_says_when_one_is_wrong(self, text):
        with pytest.raises(ValueError, match="Not a regular expression: "):
            RecordFilter(text=text, regex=True)

    def test_by_all_of_it(self):
        records = [
            *made("slow", node="stage", level=30),
            *made("slow", node="camera", level=30),
            *made("slow", node="stage", level=10),
            *made("fast", node="stage", level=30),
        ]
        wanted = RecordFilter(20, ["camera"], "slow")
        assert wanted.select(records) == records[:1]


class TestTheInbox:
    def test_keeps_order_and_counts(self):
        inbox = Inbox(10)
        logger = logging.Logger("x")
        logger.addHandler(inbox)
        logger.info("one")
        logger.info("two")
        taken = inbox.take()
        assert [(r.number, r.text) for r in taken] == [(0, "one"), (1, "two")]
        assert inbox.take() == []
        logger.info("three")
        assert inbox.take()[0].number == 2

    def test_lets_go_of_the_oldest(self):
        inbox = Inbox(3)
        for n in range(5):
            inbox.handle(log_record(str(n)))
        assert [(r.number, r.text) for r in inbox.take()] == [(2, "2"), (3, "3"), (4, "4")]

    def test_takes_records_of_many_threads(self):
        inbox = Inbox(10_000)

        def log():
            for n in range(500):
                inbox.handle(log_record(str(n)))

        threads = [threading.Thread(target=log) for _ in range(4)]
        taken = []
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            taken += inbox.take()
        taken += inbox.take()
        for thread in threads:
            thread.join()
        assert [record.number for record in taken] == list(range(2000))

    def test_leaves_out_what_cannot_be_formatted(self, capsys):
        inbox = Inbox(10)
        inbox.handle(log_record("%d", args=("no number",)))
        inbox.handle(log_record("good"))
        assert [(r.number, r.text) for r in inbox.take()] == [(0, "good")]
        assert "Logging error" in capsys.readouterr().err


class TestAnExport:
    def test_as_text(self):
        file = io.StringIO()
        write_text(made("broken", exc_text="Traceback:\nKeyError"), file)
        first, *rest = file.getvalue().splitlines()
        assert first.endswith("INFO     camera lens: broken")
        assert rest == ["Traceback:", "KeyError"]

    def test_as_lines_of_json(self):
        file = io.StringIO()
        write_json_lines(made("one\nline", "two \ud800", created=5.5), file)
        one, two = map(json.loads, file.getvalue().splitlines())
        assert one["text"] == "one\nline"
        assert two["text"] == "two \ud800"
        assert (one["time"], one["node"], one["exception"]) == (5.5, "camera", None)
