from __future__ import annotations

import errno
import os

import pytest
from conftest import open_descriptors

from pyacq_rpc.transport import segments
from pyacq_rpc.transport.segments import MAX_OUT, SegmentPool, map_segment

pytestmark = pytest.mark.skipif(not segments.is_available(), reason="needs memfd and seals")


@pytest.fixture
def pool():
    pool = SegmentPool(1 << 30)
    yield pool
    pool.close()


def test_what_is_put_in_is_what_is_mapped(pool):
    segment = pool.put(memoryview(b"x" * 10_000 + b"end"))
    mapping = map_segment(segment.fd, 10_003)
    assert bytes(mapping) == b"x" * 10_000 + b"end"


def test_a_mapping_outlives_the_descriptor_and_the_pool(pool):
    segment = pool.put(memoryview(b"hello"))
    mapping = map_segment(segment.fd, 5)
    pool.close()
    assert bytes(mapping) == b"hello"
    mapping[:] = b"HELLO"
    assert bytes(mapping) == b"HELLO"


def test_a_segment_that_is_free_is_taken_again(pool):
    first = pool.put(memoryview(bytes(100_000)))
    assert pool.put(memoryview(bytes(100_000))).number != first.number
    pool.free(first.number)
    assert pool.put(memoryview(bytes(90_000))).number == first.number


def test_a_segment_that_is_much_too_large_is_not(pool):
    first = pool.put(memoryview(bytes(1_000_000)))
    pool.free(first.number)
    assert pool.put(memoryview(bytes(100_000))).number != first.number


def test_few_are_kept_and_not_for_long(pool, monkeypatch):
    before = len(open_descriptors())
    numbers = [pool.put(memoryview(bytes(10_000))).number for _ in range(20)]
    for number in numbers:
        pool.free(number)
    assert len(open_descriptors()) - before in (segments.KEEP, 2 * segments.KEEP)
    monkeypatch.setattr(segments, "KEEP_FOR", -1.0)
    pool.free(pool.put(memoryview(bytes(1))).number)
    assert len(open_descriptors()) == before


def test_a_receiver_holds_so_many_at_most(pool):
    numbers = [pool.put(memoryview(b"x")).number for _ in range(MAX_OUT)]
    assert len(set(numbers)) == MAX_OUT
    assert pool.put(memoryview(b"x")) is None
    pool.free(numbers[7])
    assert pool.put(memoryview(b"x")) is not None


def test_freeing_what_was_never_sent_does_nothing(pool):
    pool.free(5)


def test_without_memory_there_is_none(pool, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOMEM, "no memory")

    monkeypatch.setattr(segments.os, "memfd_create", full)
    assert pool.put(memoryview(b"x")) is None


def test_it_tells_when_the_last_view_has_gone(pool):
    told = []
    mapping = map_segment(pool.put(memoryview(b"hello")).fd, 5)
    mapping.released = lambda: told.append(True)
    view = memoryview(mapping)[1:3]
    del mapping
    assert not told
    assert bytes(view) == b"el"
    del view
    assert told


def test_memory_that_can_be_taken_away_is_not_mapped(pool):
    fd = os.memfd_create("unsealed", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, 4096)
    with pytest.raises(ValueError, match="may become shorter"):
        map_segment(fd, 4096)
    os.close(fd)
    with pytest.raises(ValueError, match="may become shorter"):
        map_segment(pool.put(memoryview(b"x")).fd, 1_000_000)


def test_what_to_do_where_there_is_no_descriptor_for_it(pool, monkeypatch):
    def refuse(*args, **options):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(segments, "Mapping", refuse)
    segment = pool.put(memoryview(b"hello"))
    with pytest.raises(OSError, match=r"Too many open files; .* \(see 'ulimit -n'\)"):
        map_segment(segment.fd, 5)
