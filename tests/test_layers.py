"""Imports run downward only, and the light packages stay light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

FLOORS = [
    ["pyacq_rpc.errors", "pyacq_rpc.late_logging", "pyacq_rpc.limits"],
    ["pyacq_rpc.wire"],
    ["pyacq_rpc.session"],
    ["pyacq_rpc.transport"],
    ["pyacq_rpc.peers"],
    ["pyacq_rpc.loops", "pyacq_rpc.qt"],
    ["pyacq_rpc"],
    ["spawner"],
    ["pyacq_rpc.people", "pyacq_rpc.__main__"],
]
"""From the ground up; a module may import from its own floor and those below."""

DOORS = {("pyacq_rpc", "pyacq_rpc.people.ipython")}
"""``%load_ext pyacq_rpc`` looks for a function in the package itself, which imports this late."""

FORBIDDEN = {
    "pyacq_rpc.wire": {"zmq", "socket", "threading", "time", "select", "asyncio"},
    "pyacq_rpc.session": {"zmq", "socket", "select", "asyncio"},
}


def modules() -> list[tuple[str, Path]]:
    found = []
    for package in ("pyacq_rpc", "spawner"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = list(path.relative_to(ROOT).with_suffix("").parts)
            if parts[-1] == "__init__":
                parts.pop()
            found.append((".".join(parts), path))
    return found


def floor_of(module: str) -> int:
    """The floor whose name is the longest that fits."""
    fits = [
        (len(name), level)
        for level, names in enumerate(FLOORS)
        for name in names
        if module == name or module.startswith(name + ".")
    ]
    return max(fits)[1]


def imports_of(module: str, path: Path) -> set[str]:
    found = set()
    is_package = path.name == "__init__.py"
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = module.split(".")
            if node.level:
                base = base[: len(base) - node.level + is_package]
                home = ".".join(base + ([node.module] if node.module else []))
            else:
                home = node.module or ""
            found.add(home)
            found.update(f"{home}.{alias.name}" for alias in node.names)
    return found


NAMES = {name for name, _ in modules()}


@pytest.mark.parametrize(("module", "path"), modules(), ids=[name for name, _ in modules()])
def test_imports_run_downward(module, path):
    for imported in imports_of(module, path):
        if imported in NAMES and (module, imported) not in DOORS:
            assert floor_of(imported) <= floor_of(module), f"{module} imports {imported}"


@pytest.mark.parametrize(("module", "path"), modules(), ids=[name for name, _ in modules()])
def test_the_lower_floors_do_no_input_or_output(module, path):
    for floor, forbidden in FORBIDDEN.items():
        if module.startswith(floor):
            roots = {imported.partition(".")[0] for imported in imports_of(module, path)}
            assert not roots & forbidden


def test_importing_the_packages_imports_nothing_heavy():
    code = "import sys, pyacq_rpc, spawner; print(*sorted(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stderr
    loaded = {name.partition(".")[0] for name in run.stdout.split()}
    heavy = {"asyncio", "numpy", "IPython", "qtpy", "PyQt5", "PyQt6", "PySide6", "pyqtgraph"}
    heavy |= {"matplotlib", "trio"}
    assert not loaded & heavy


SLOW_TO_IMPORT = (
    "asyncio concurrent ctypes inspect logging pathlib psutil shutil"
    " ssl subprocess tempfile traceback zoneinfo"
)


def test_a_node_imports_nothing_slow_before_it_listens():
    code = (
        "import sys, zmq, msgpack; before = set(sys.modules);"
        "import spawner.child; from pyacq_rpc import RPCServer; RPCServer();"
        "print(*set(sys.modules) - before)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stderr
    slow = {name.partition(".")[0] for name in run.stdout.split()} & set(SLOW_TO_IMPORT.split())
    if sys.version_info < (3, 11):
        slow -= {"concurrent", "logging", "traceback"}  # has a TimeoutError of its own
    assert not slow


@pytest.mark.parametrize("package", ["pyacq_rpc", "spawner"])
def test_what_is_imported_late_is_there(package):
    code = f"import {package} as p; print(*[n for n in p.__all__ if n not in dir(p)]);"
    code += "print(*[getattr(p, n).__name__ for n in p.__all__]); p.nothing"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    missing, found = run.stdout.splitlines()
    assert missing == ""
    assert "RPCClient" in found or "ProcessSpawner" in found
    assert f"AttributeError: module {package!r} has no attribute 'nothing'" in run.stderr
