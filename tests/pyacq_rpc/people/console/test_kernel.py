from __future__ import annotations

import pytest

from pyacq_rpc.people.console.kernel import Names

pytestmark = pytest.mark.qt


def test_published_names_are_variables():
    published = {"camera": 1, "not a name": 2, "server": 3}
    names = Names(published)
    assert names.variables == {"server": published}
    names.refresh()
    assert names.variables == {"server": published, "camera": 1}
    published["camera"] = 4
    names.refresh()
    assert names.variables["camera"] == 4
    del published["camera"]
    names.refresh()
    assert "camera" not in names.variables


def test_those_of_the_user_come_first():
    published = {"camera": 1, "stage": 2}
    names = Names(published)
    names.variables["camera"] = "mine"
    names.refresh()
    assert names.variables["camera"] == "mine"
    names.variables["stage"] = "mine too"
    del published["stage"]
    names.refresh()
    assert names.variables["stage"] == "mine too"
    del names.variables["camera"]
    names.refresh()
    assert names.variables["camera"] == 1
