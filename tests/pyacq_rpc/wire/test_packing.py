"""A result whose items are written one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import same, values

from pyacq_rpc import SerializationError
from pyacq_rpc.wire.codecs import codec_named


def refuse(obj):
    raise SerializationError(f"{obj!r} has no value form")


@pytest.fixture(params=["msgpack", "json"])
def codec(request):
    return codec_named(request.param)


def read(codec, frames):
    return codec.decode(frames, lambda reference: reference).value


def written(codec, items, rest=(True,)):
    packing = codec.packing(refuse)
    for item in items:
        packing.add(item)
    return packing.finish(1, rest)


@pytest.mark.parametrize("name", ["msgpack", "json"])
@given(items=st.lists(values, max_size=5))
def test_any_items_arrive(name, items):
    codec = codec_named(name)
    assert same(read(codec, written(codec, items)), [items, True])


def test_an_item_is_written_as_it_was(codec):
    packing = codec.packing(refuse)
    item = [1]
    packing.add(item)
    item.append(2)
    packing.add(item)
    assert read(codec, packing.finish(1, [])) == [[[1], [1, 2]]]


def test_a_small_array_is_too(codec):
    packing = codec.packing(refuse)
    item = np.zeros(1000)
    packing.add(item)
    item += 1
    packing.add(item)
    assert not packing.holds
    zeros, ones = read(codec, packing.finish(1, []))[0]
    assert not zeros.any()
    assert ones.all()


def test_a_large_array_is_not_copied():
    packing = codec_named("msgpack").packing(refuse)
    item = np.zeros(100_000)
    packing.add(item)
    assert packing.holds
    item += 1
    assert read(codec_named("msgpack"), packing.finish(1, []))[0][0].all()


def test_arrays_have_their_own_frames():
    items = [np.full(1000, n) for n in range(3)]
    codec = codec_named("msgpack")
    frames = written(codec, items)
    assert len(frames) == 4
    assert all(map(np.array_equal, read(codec, frames)[0], items))


def test_of_what_fails_nothing_is_left(codec):
    packing = codec.packing(refuse)
    packing.add(1)
    before = packing.size
    with pytest.raises(SerializationError):
        packing.add([np.zeros(1000), object()])
    assert packing.size == before
    packing.add(np.zeros(1000))
    one, zeros = read(codec, packing.finish(1, []))[0]
    assert one == 1
    assert zeros.shape == (1000,)


def test_what_was_added_can_be_taken_back(codec):
    packing = codec.packing(refuse)
    packing.add(np.ones(1000))
    before = len(packing.parts), len(packing.frames), packing.size
    packing.add(np.zeros(1000))
    packing.take_back(*before)
    ((ones,),) = read(codec, packing.finish(1, []))
    assert ones.all()


def test_lone_surrogates(codec):
    assert read(codec, written(codec, ["a", "\ud800", "b"])) == [["a", "\ud800", "b"], True]


def test_how_deep_an_item_may_be(codec):
    def nested(levels):
        return [nested(levels - 1)] if levels else None

    written(codec, [nested(98)])
    with pytest.raises(SerializationError, match="nested deeper"):
        written(codec, [nested(99)])


def test_size_counts_everything(codec):
    frames = written(codec, items := [np.zeros(2000), "text", b"x" * 100])
    packing = codec.packing(refuse)
    for item in items:
        packing.add(item)
    assert 0 <= sum(map(len, frames)) - packing.size < 50
