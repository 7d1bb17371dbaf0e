"""Log records for tests: made, sent and collected."""

from __future__ import annotations

import logging

from spawner import LogSender


def log_record(text, level=logging.INFO, node="camera", logger="lens", args=(), **fields):
    """A record as a log server hands it on."""
    record = logging.LogRecord(logger, level, "/src/lens.py", 12, text, args, None)
    record.processName = node
    record.__dict__.update(fields)
    return record


def send(address, *texts, **fields):
    """Send records to a log server."""
    sender = LogSender(address, "here")
    for text in texts:
        sender.handle(log_record(text, **fields))
    sender.close()


class Collector(logging.Handler):
    """Keeps the records that its logger gets."""

    def __init__(self):
        super().__init__()
        self.records = []
        self.logger = logging.Logger("collected")
        self.logger.addHandler(self)

    def emit(self, record):
        self.records.append(record)

    def messages(self):
        return [record.getMessage() for record in self.records]


class Failing(Collector):
    """Fails on each record that its logger gets."""

    def handle(self, record):
        super().handle(record)
        raise RuntimeError("disk full")
