"""Sphinx extension: makes the pictures of windows, by running the examples that show them.

It needs Qt and a font, and no display. A picture is made again when its example has changed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.errors import ConfigError, ExtensionError
from sphinx.util import logging

DOCS = Path(__file__).parent
EXAMPLES = ("remote_form", "live_plot", "watch_dashboard", "watch_logs")
FOLDER = DOCS / "_build" / "pictures"

_log = logging.getLogger(__name__)

_CHECK = """
from qtpy import QtGui, QtWidgets
import pyqtgraph
app = QtWidgets.QApplication([])
try:
    families = QtGui.QFontDatabase.families()
except TypeError:  # of an object, before Qt 6
    families = QtGui.QFontDatabase().families()
raise SystemExit(0 if families else "there are no fonts")
"""


def setup(app: Sphinx) -> dict[str, Any]:
    """Have the pictures made before the pages are read."""
    app.connect("builder-inited", make_pictures, priority=1)  # before pages of Qt are imported
    return {"parallel_read_safe": True}


def make_pictures(_: Sphinx) -> None:
    """Make those that are missing, or older than their example."""
    late = [name for name in EXAMPLES if not _is_fresh(name)]
    if not late:
        return
    try:
        run("-c", _CHECK)
    except ExtensionError as error:
        raise ConfigError(
            "the guide's pictures of windows need Qt, pyqtgraph and a font: "
            "pip install '.[docs]'; on Debian also: apt-get install fontconfig "
            "fonts-dejavu-core libgl1 libegl1 libxkbcommon0 libdbus-1-3\n"
            + str(error).strip().rpartition("\n")[2]
        ) from None
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in late:
        _log.info("making the picture of %s", name)
        run(example(name), picture(name))


def example(name: str) -> Path:
    """Return where an example is."""
    return DOCS / "examples" / f"{name}.py"


def picture(name: str) -> Path:
    """Return where the picture of an example goes."""
    return FOLDER / f"{name}.png"


def run(*arguments: str | Path) -> str:
    """Run Python without a display, and return what it has printed.

    Raises
    ------
    ExtensionError
        If it fails; has what it said.
    """
    paths = [str(DOCS.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = {
        **os.environ,
        "QT_QPA_PLATFORM": "offscreen",
        "PYTHONPATH": os.pathsep.join(paths),
    }
    command = [sys.executable, *map(str, arguments)]
    ended = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    if ended.returncode:
        raise ExtensionError(f"{' '.join(command[1:])} has failed:\n{ended.stderr}")
    return ended.stdout


def _is_fresh(name: str) -> bool:
    made = picture(name)
    return made.exists() and made.stat().st_mtime >= example(name).stat().st_mtime
