from __future__ import annotations

import os
import sys
from pathlib import Path

import spawner
from spawner.interpreter import environment, search_path


def test_the_same_python_gets_our_very_path(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", "/a"])
    assert search_path(True) == [str(tmp_path), "/a"]


def test_another_is_told_where_the_packages_are():
    assert search_path(False) == [str(Path(spawner.__file__).parents[1])]


def test_the_environment_is_ours_with_changes(monkeypatch):
    monkeypatch.setenv("KEPT", "1")
    monkeypatch.setenv("REMOVED", "1")
    changed = environment({"REMOVED": None, "ADDED": "2", "NEVER_THERE": None})
    assert changed == {**{k: v for k, v in os.environ.items() if k != "REMOVED"}, "ADDED": "2"}
