"""The results, and where they were found, for a file."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import time
from pathlib import Path
from typing import Any

import zmq

import pyacq_rpc

from .contenders import PACKAGES
from .lines import LINES, compare, median
from .measure import Results

__all__ = ["as_record", "machine"]


def as_record(results: Results, about: dict[str, Any]) -> dict[str, Any]:
    """Return all that is known of a run.

    Parameters
    ----------
    results : dict
        From `measure`.
    about : dict
        From `machine`, as it was when the run began.
    """
    return {
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": {**about, "load_at_end": _load()},
        "versions": _versions(),
        "lines": [
            {
                "title": line.title,
                "quantity": line.quantity,
                "ours": found.ours,
                "theirs": found.theirs,
                "ratio": found.ratio,
                "ratio_of": "rates" if line.rated else "times or sizes",
                "to": found.to,
                "reach": line.reach,
                "reached": found.reached,
            }
            for line in LINES
            if (found := compare(line, results)) is not None
        ],
        "quantities": {
            quantity: {
                contender: {"median": median(results, quantity, contender), "rounds": rounds}
                for contender, rounds in contenders.items()
            }
            for quantity, contenders in results.items()
        },
    }


def machine() -> dict[str, Any]:
    """Return what there is to know of this machine."""
    return {
        "system": platform.platform(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "load_at_begin": _load(),
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except FileNotFoundError:
        return platform.processor()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()


def _load() -> list[float] | None:
    return list(os.getloadavg()) if hasattr(os, "getloadavg") else None


def _versions() -> dict[str, str]:
    found = {
        "pyacq-rpc": pyacq_rpc.__version__,
        "python": platform.python_version(),
        "libzmq": zmq.zmq_version(),
    }
    for package in ("pyzmq", "msgpack", "numpy", "gevent", *PACKAGES.values()):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
